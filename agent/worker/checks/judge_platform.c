/* The server: account, ports, service, Java, room. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_platform[] = {
    { "run-user", "The account that Confluence runs as owns its home",
      "Create the account, or give it the home: chown -R USER HOME.",
      judge_run_user, NEED_FILES | NEED_PROCESSES, NULL },
    { "ports", "Nothing else has Confluence's ports",
      "Find the program with: ss -ltnp. It may be a Confluence that was started from a copy.",
      judge_ports, NEED_FILES | NEED_PROCESSES, NULL },
    { "service", "Confluence can be started and stopped",
      "Make bin/start-confluence.sh and bin/stop-confluence.sh executable, or name the right "
      "unit under services.",
      judge_service, NEED_FILES, NULL },
    { "hooks", "Local hooks belong to root alone",
      "chown root: FILE; chmod go-w FILE, for the hook and its folder.",
      judge_hooks, NEED_FILES, NULL },
    { "java", "Java is found",
      "Set JAVA_HOME in bin/setenv.sh.",
      judge_java, NEED_FILES | NEED_CATALOGUE, NULL },
    { "space", "There is room for the new version, the backup and the way back",
      "Free space, or move backup_dir to a larger file system.",
      judge_space, NEED_FILES | NEED_DATABASE, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
