"""The Tomcat form: Debian's Tomcat 10 and the stand-in's servlets."""


def classes():
    raise SystemExit("the Tomcat form is not built yet; use --form light")


scripts = libraries = driver = classes
