#!/usr/bin/env bash
# Expected: the accessibility tree tells where a thing is drawn on the screen, as desktop agents and the trees of OSWorld
# take it. What happens (LibreOffice 7.4 of Debian 12 with its GTK 3 surface, at-spi2-core 2.46): the boxes of a
# spreadsheet's cells, asked for in points of the screen, are as much too high as the menu bar is high, as if that were not
# there. That is more than a row, so a click in the middle of a told box hits another cell. Width, height and left edge are
# right, and so is the box of the menu bar itself. Concerns whoever turns accessibility trees into places to click, or
# makes training data of both. Shown by a bright cell, whose place is read from the picture of the screen.
# Needs Debian's xvfb, dbus-daemon, at-spi2-core, libreoffice-calc and libreoffice-gtk3.
set -euo pipefail
for program in Xvfb dbus-run-session soffice; do
  command -v "$program" >/dev/null || { echo "$program is not installed"; exit 1; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jeepney==0.9.0
cd "$folder"
mkdir -p run home profile/user
chmod 700 run
cat >profile/user/registrymodifications.xcu <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="ShowTipOfTheDay" oor:op="fuse"><value>false</value></prop></item>
</oor:items>
XML
cat >sheet.fods <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
<office:automatic-styles><style:style style:name="bright" style:family="table-cell">
<style:table-cell-properties fo:background-color="#ff00ff"/></style:style></office:automatic-styles>
<office:body><office:spreadsheet><table:table table:name="Sheet1">
<table:table-row table:number-rows-repeated="5"><table:table-cell/></table:table-row>
<table:table-row><table:table-cell/><table:table-cell table:style-name="bright" office:value-type="string"><text:p/></table:table-cell></table:table-row>
</table:table></office:spreadsheet></office:body></office:document>
XML
cat >look.py <<'PY'
import os
import struct
import subprocess
import time

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

ROOT = ("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
MENU_BAR, TABLE = 34, 55  # AT-SPI's numbers of roles
ROW, COLUMN = 5, 1  # of the bright cell, B6


def ask(node, interface, member, signature=None, body=()):
    address = DBusAddress(node[1], bus_name=node[0], interface=f"org.a11y.atspi.{interface}")
    reply = bus.send_and_get_reply(new_method_call(address, member, signature, body), timeout=10)
    return reply.body[0] if reply.header.message_type.name == "method_return" else None


def all_below(node, depth=0):
    yield node
    if depth < 14 and ask(node, "Accessible", "GetRole") != TABLE:
        for child in ask(node, "Accessible", "GetChildren") or ():
            yield from all_below(child, depth + 1)


def bright():
    """Left, top, width and height of what is magenta on the screen; None."""
    with open("run/Xvfb_screen0", "rb") as file:
        picture = file.read()
    head, _, _, _, width, height = struct.unpack(">6I", picture[:24])
    line, colours = struct.unpack(">I", picture[48:52])[0], struct.unpack(">I", picture[76:80])[0]
    start, rows = head + 12 * colours, []
    for y in range(height):
        row = picture[start + y * line : start + y * line + 4 * width]
        points = [at // 4 for at in range(0, len(row), 4) if row[at : at + 3] == b"\xff\x00\xff"]
        if len(points) > 20:
            rows.append((y, min(points), max(points)))
    return (rows[0][1], rows[0][0], rows[0][2] - rows[0][1] + 1, len(rows)) if rows else None


reading, writing = os.pipe()
screen = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-fbdir", "run", "-nolisten", "tcp"]
programs = [subprocess.Popen(screen, pass_fds=[writing], stderr=subprocess.DEVNULL)]
try:
    os.environ["DISPLAY"] = f":{os.read(reading, 16).decode().strip()}"
    with open_dbus_connection("SESSION") as session:
        address = DBusAddress("/org/a11y/bus", bus_name="org.a11y.Bus", interface="org.a11y.Bus")
        place = session.send_and_get_reply(new_method_call(address, "GetAddress"), timeout=20).body[0]
    bus = open_dbus_connection(place)
    profile = f"-env:UserInstallation=file://{os.getcwd()}/profile"
    office = ["soffice", profile, "--nologo", "--norestore", "--nolockcheck", "--calc", "sheet.fods"]
    programs.append(subprocess.Popen(office, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
    until, menu_bar, cell, seen = time.monotonic() + 60, None, None, None
    while time.monotonic() < until:
        time.sleep(1)
        for node in all_below(ROOT):
            role = ask(node, "Accessible", "GetRole")
            if role == MENU_BAR:
                box = ask(node, "Component", "GetExtents", "u", (0,))
                menu_bar = max(filter(None, (menu_bar, box)), key=lambda each: each[3], default=None)  # one is not shown
            elif role == TABLE:
                b6 = ask(node, "Table", "GetAccessibleAt", "ii", (ROW, COLUMN))
                cell = b6 and ask(b6, "Component", "GetExtents", "u", (0,))
        now = bright()
        if menu_bar and cell and now and (now, cell) == seen:
            break
        seen = (now, cell)
    else:
        raise SystemExit(f"no quiet spreadsheet within a minute: menu bar {menu_bar}, cell {cell}, drawn {seen}")
    print("the cell B6 is drawn at (left, top, width, height)", now)
    print("the accessibility tree tells", cell, "and of the menu bar", menu_bar)
    off = now[1] - cell[1]
    print(f"told {off} points too high; the menu bar is {menu_bar[3]} points high")
    if abs(now[0] - cell[0]) > 2 or abs(now[2] - cell[2]) > 3 or abs(now[3] - cell[3]) > 3:
        raise SystemExit(f"changed: it is told {cell}, and drawn at {now}")
    if abs(off - menu_bar[3]) > 3:
        raise SystemExit(f"changed: it is told {off} points too high, where the menu bar has {menu_bar[3]}")
finally:
    for program in reversed(programs):
        try:
            os.killpg(program.pid, 9) if program is not programs[0] else program.terminate()
        except ProcessLookupError:
            pass
        program.wait()
PY
HOME="$folder/home" soffice --version | sed '/^$/d'
env -u WAYLAND_DISPLAY HOME="$folder/home" XDG_RUNTIME_DIR="$folder/run" SAL_USE_VCLPLUGIN=gtk3 GNOME_ACCESSIBILITY=1 \
  dbus-run-session -- venv/bin/python look.py 2>log | sed '/^SpiRegistry/d' || { grep -E '^(changed|no quiet|[A-Za-z.]*(Error|Exception))' log || tail -n 3 log; exit 1; }
echo "as described"
