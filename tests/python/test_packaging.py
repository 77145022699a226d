"""What a release is packed in: the unit and the container file, as far as they can be looked at without running them."""

import re
import shutil
import subprocess

import pytest

from dynaberg import BINARY, ROOT

UNIT = ROOT / "deploy/systemd/dynaberg.service"
CONTAINERFILE = ROOT / "deploy/Containerfile"


def help_of(*verb):
    return subprocess.run([BINARY, *verb, "--help"], capture_output=True, text=True, timeout=60).stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is part of systemd")
def test_systemd_understands_the_unit_and_finds_it_confined(tmp_path):
    # The binary is where the unit looks for it only once it is installed.
    unit = tmp_path / "dynaberg.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/dynaberg", str(BINARY)))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    ours = [line for line in checked.stderr.splitlines() if "dynaberg" in line]
    assert ours == [], checked.stderr
    looked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True, text=True, timeout=60
    )
    assert looked.returncode == 0, looked.stdout[-600:] + looked.stderr


def test_the_unit_asks_for_what_it_was_made_for():
    settings = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"[A-Z]\w+=", line))
    assert settings["Type"] == "notify" and settings["DynamicUser"] == "yes" and settings["ProtectSystem"] == "strict"
    assert int(settings["WatchdogSec"]) > 0 and settings["StateDirectory"] == "dynaberg"


def test_flags_and_variables_of_unit_and_container_are_ones_that_the_binary_has():
    known = help_of() + help_of("run") + help_of("status")
    for text in (UNIT.read_text(), CONTAINERFILE.read_text()):
        commands = re.findall(r"^(?:ENTRYPOINT|CMD|HEALTHCHECK|ExecStart|ENV|Environment).*$", text, re.M)
        words = " ".join(commands)
        for flag in re.findall(r"(?<![\w-])--(?!interval|timeout|start-period)[a-z-]+", words):
            assert flag in known, flag
        for variable in re.findall(r"DYNABERG_\w+", words):
            assert variable in known, variable


def test_the_container_is_not_root_and_has_one_volume():
    text = CONTAINERFILE.read_text()
    last = text.split("FROM ")[-1]
    assert re.search(r"^USER nonroot", last, re.M) and len(re.findall(r"^VOLUME", last, re.M)) == 1
    assert "/bin/sh" not in last and "RUN" not in last, "there is no shell in it"
