"""The agent's command line: what it answers without a configuration, and what it refuses. Needs no root and starts nothing."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENT = os.path.join(os.environ.get("CONFLEET_BUILD", os.path.join(ROOT, "build", "gcc")), "agent", "confleet-agent")


def agent(*words):
    done = subprocess.run([AGENT, *words], check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


class Words(unittest.TestCase):
    def test_help_and_version_are_answered_in_every_spelling(self):
        for words in (["help"], ["--help"], ["status", "--help"], ["run", "--json", "--help"]):
            status, out, err = agent(*words)
            self.assertEqual((status, err), (0, ""), words)
            self.assertTrue(out.startswith("usage: confleet-agent COMMAND"), out)
        for word in ("version", "--version"):
            status, out, err = agent(word)
            self.assertEqual((status, err), (0, ""))
            self.assertRegex(out, r"^confleet-agent \d+\.\d+")

    def test_options_are_known_by_their_whole_names_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "agent.yaml")
            with open(config, "w", encoding="utf-8") as f:
                f.write(f"state_dir: {folder}/state\n")
            for words in (["status", "--conf", config], ["status", "--config", config, "--js"], ["status", "--j"], ["status", "-c", config],
                          ["status", "--config=" + config, "--json=yes"], ["check", "--inst", folder], ["status", "--hel"],
                          ["check", "--ho=/x"], ["status", "--configuration", config], ["status", "--"]):
                status, out, err = agent(*words)
                self.assertEqual((status, out), (1, ""), words)
                self.assertRegex(err, "'-.*' is no option, or its value is missing")
                self.assertFalse(os.path.exists(os.path.join(folder, "state")))
            for words in (["status", "--config"], ["status", "--json", "--config"]):
                self.assertIn("'--config' is no option, or its value is missing", agent(*words)[2])
            for words in (["status", "--config", config], ["status", "--config=" + config, "--json"]):
                self.assertIn("agent.db", agent(*words)[2])

    def test_what_is_no_command_or_has_too_many_words_is_refused(self):
        for words, text in (([], "which command?"), (["stat"], "no such command"), (["--config", "x", "status"], "no such command")):
            status, _, err = agent(*words)
            self.assertEqual(status, 1)
            self.assertIn(text, err)
        with tempfile.NamedTemporaryFile("w") as config:
            for words in (["status", "more"], ["rollback"], ["verify", "one"]):
                self.assertIn("wrong number of words", agent(*words, "--config", config.name)[2])


if __name__ == "__main__":
    unittest.main(verbosity=2)
