# Not part of Confluence: how the scripts of the stand-in read its switches in the home.
standin_home() {
    case " $CATALINA_OPTS $JAVA_OPTS" in
    *" -Dconfluence.home="*)
        echo " $CATALINA_OPTS $JAVA_OPTS" | sed -n 's/.* -Dconfluence\.home=\([^ ]*\).*/\1/p' ;;
    *)
        sed -n 's/^[ \t]*confluence\.home[ \t]*=[ \t]*//p' \
            "$PRGDIR/../confluence/WEB-INF/classes/confluence-init.properties" | tail -n 1 ;;
    esac
}
standin_switch() {
    sed -n "s/^$1=//p" "$(standin_home)/standin.properties" 2>/dev/null | tail -n 1
}
