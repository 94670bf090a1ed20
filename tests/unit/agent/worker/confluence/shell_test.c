#include "agent/worker/confluence/shell.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static const char *variable(const char *text)
{
    static struct str value;
    str_clear(&value);
    switch (shell_variable(text, "X", "/opt/app", &value)) {
    case SHELL_NONE:
        return "(none)";
    case SHELL_UNKNOWN:
        return "(unknown)";
    default:
        return str_text(&value);
    }
}

static const char *option(const char *text)
{
    static struct str value;
    str_clear(&value);
    switch (shell_option(text, "-Dh=", "/opt/app", &value)) {
    case SHELL_NONE:
        return "(none)";
    case SHELL_UNKNOWN:
        return "(unknown)";
    default:
        return str_text(&value);
    }
}

TEST(the_last_assignment_outside_comments_counts)
{
    CHECK_STR(variable("X=\"a\" ##\nexport X\n"), "a");
    CHECK_STR(variable("X=a\n  export X='b c'\n#X=d\nXY=e\n"), "b c");
    CHECK_STR(variable("X=\"\" ##\n"), "");
    CHECK_STR(variable("Y=1"), "(none)");
    CHECK_STR(variable("X=a; export X\n"), "a");
    CHECK_STR(variable("X=a\r\n"), "a");
}

TEST(the_installations_own_folder_is_filled_in)
{
    CHECK_STR(variable("X=\"$CATALINA_BASE/work/p\""), "/opt/app/work/p");
    CHECK_STR(variable("export X=\"`dirname \"$PRGDIR\"`/work/p\"\n"), "/opt/app/work/p");
    CHECK_STR(variable("X=$(dirname \"$PRGDIR\")/work/p\n"), "/opt/app/work/p");
    CHECK_STR(variable("X=\"${CATALINA_HOME}/p\"\n"), "/opt/app/p");
}

TEST(what_only_a_shell_can_tell_is_unknown)
{
    CHECK_STR(variable("X=$HOME/x"), "(unknown)");
    CHECK_STR(variable("X=`cat /etc/x`"), "(unknown)");
    CHECK_STR(variable("X=$HOME/x\nX=/y"), "/y");
}

TEST(an_option_is_found_in_its_quotes)
{
    CHECK_STR(option("O=\"-Dh=/var/home ${O}\""), "/var/home");
    CHECK_STR(option("O=\"$O -Dh=/var/home\""), "/var/home");
    CHECK_STR(option("O=\"$O -Dh=\\\"/var/my home\\\" -Dx\""), "/var/my home");
    CHECK_STR(option("O='-Dh=/a'\nO=\"-Dh=/a\""), "/a");
    CHECK_STR(option("O=-Dh=$CATALINA_HOME/../data"), "/opt/app/../data");
}

TEST(a_commented_option_does_not_count)
{
    CHECK_STR(option("# O=\"-Dh=/a\"\n"), "(none)");
    CHECK_STR(option("O=\"a#b -Dh=/a\"\n"), "/a");
    CHECK_STR(option("O=1 # -Dh=/a\n"), "(none)");
}

TEST(two_different_options_are_unknown)
{
    CHECK_STR(option("O=-Dh=/a\nO=-Dh=/b"), "(unknown)");
    CHECK_STR(option("O=-Dh=$SOMEWHERE"), "(unknown)");
}
