"""Programs that solve tasks through the agent's own actions, looking at nothing but the agent's own observations.

They prove that a task can be seen and done, whatever a model makes of it: a test of observation and action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator

from lbi.observations.parse import Element, Page, parse_observation
from lbi.protocols import Decision
from lbi.records import Observation, Step, Task

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NO_NAMES = ("Give", "Forward", "Send", "Look", "Find", "Will", "Open", "Please")
#: yields actions, and is sent the page that each led to
Acts = Generator[str, Page, None]
Solution = Callable[[str, Page], Acts]


class Solver:
    """An agent that follows a solution through one episode."""

    name = "solution"

    def __init__(self, solution: Solution) -> None:
        self._solution = solution
        self._run: Acts | None = None

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        page = parse_observation(observation.text)
        try:
            if not history or self._run is None:
                self._run = self._solution(task.instruction, page)
                return Decision(action=next(self._run))
            return Decision(action=self._run.send(page))
        except (StopIteration, RuntimeError, LookupError) as error:  # it is through, or cannot find its way
            return Decision(action='finish("")', reason=str(error))


def quoted(text: str) -> list[str]:
    """The parts of an instruction in quotation marks."""
    return re.findall(r'"([^"]+)"', text)


def named(page: Page, name: str, role: str = "", nth: int = 0) -> Element:
    """An element of this name, whatever case. Raises LookupError that says what there is."""
    found = [e for e in page.elements if e.name.casefold() == name.casefold() and role in ("", e.role)]
    found = [e for e in found if e.name == name] or found
    if nth >= len(found):
        raise LookupError(f"no {role or 'element'} {name!r} among {[(e.role, e.name) for e in page.elements]}")
    return found[nth]


def of_role(page: Page, *roles: str) -> list[Element]:
    return [element for element in page.elements if element.role in roles]


def click(element: Element) -> str:
    return f"click({element.ref})"


def fill(element: Element, text: str) -> str:
    return f"fill({element.ref}, {json.dumps(text, ensure_ascii=False)})"


def submit(page: Page) -> str:
    return click(named(page, "Submit", "button"))


def after(text: str, *words: str) -> str:
    """What follows the first of the words in a text."""
    for word in words:
        if word in text:
            return text.partition(word)[2].strip()
    raise LookupError(f"none of {words} in {text!r}")


def text_of(page: Page) -> str:
    return "\n".join(page.texts)


# one click


def click_quoted(task: str, page: Page) -> Acts:
    yield click(named(page, quoted(task)[-1]))


def click_button_of(task: str, page: Page) -> Acts:
    """Click button ONE, wait 1 seconds, then click button TWO."""
    for name in re.findall(r"button ([A-Z]+)", task):
        page = yield click(named(page, name, "button"))


def click_the_only_button(task: str, page: Page) -> Acts:
    yield click(of_role(page, "button")[0])


def click_color(task: str, page: Page) -> Acts:
    boxes = of_role(page, "generic")
    words = re.findall(r"the (\w+) colored", text_of(page).replace("\n", " "))
    wanted = words[0] if words else boxes[0].name.rpartition(" ")[2]
    yield click([box for box in boxes if box.name == wanted][-1])


def close_dialog(task: str, page: Page) -> Acts:
    yield click(named(page, quoted(task)[0] if quoted(task)[0] != "x" else "Close", "button"))


def click_tab(task: str, page: Page) -> Acts:
    yield click(named(page, after(task, "Click on ").rstrip("."), "link"))


def look_through_tabs(task: str, page: Page) -> Acts:
    """Open one tab or section after the other until what is sought is there."""
    wanted = quoted(task)[-1]
    for tab in [e.name for e in of_role(page, "tab")]:
        links = [e for e in page.elements if e.role in ("generic", "link") and e.name.strip(".,") == wanted.strip(".,")]
        if links:
            break
        opener = [e for e in page.elements if e.name == tab and e.role in ("link", "tab")]
        page = yield click(opener[-1])
        page = yield "wait()"
    for element in page.elements:
        if element.role == "generic" and element.name.strip(".,") == wanted.strip(".,"):
            yield click(element)
            return
    raise LookupError(f"{wanted!r} is nowhere")


def expand_and_submit(task: str, page: Page) -> Acts:
    page = yield click(of_role(page, "tab")[0])
    page = yield "wait()"
    yield submit(page)


def choose_in_menu(task: str, page: Page) -> Acts:
    """Select Cathrin>Luz: every part of the way but the last opens a menu."""
    *openers, last = after(task, "Select ").split(">")
    for name in openers:
        page = yield f"hover({named(page, name.strip(), 'menuitem').ref})"
        page = yield "wait()"
    yield click(named(page, last.strip(), "menuitem"))


def menu_button(task: str, page: Page) -> Acts:
    page = yield click(named(page, "Menu"))
    page = yield "wait()"
    wanted = quoted(task)[-1]
    if not any(e.name.casefold() == wanted.casefold() for e in page.elements):
        for opener in [e.name for e in of_role(page, "menuitem")]:
            page = yield f"hover({named(page, opener, 'menuitem').ref})"
            page = yield "wait()"
            if any(e.name.casefold() == wanted.casefold() for e in page.elements):
                break
    yield click(named(page, wanted, "menuitem"))


def buy_cheapest(task: str, page: Page) -> Acts:
    prices = {int(re.sub(r"\D", "", e.name)): e for e in of_role(page, "button")}
    cheapest = "cheapest" in task or "lowest" in task
    yield click(prices[min(prices) if cheapest else max(prices)])


def click_cancel_or_agree(task: str, page: Page) -> Acts:
    area = of_role(page, "textbox")[0]
    for _ in range(30):
        try:
            yield click(named(page, re.findall(r"the (\w+) button", task)[0], "button"))
            return
        except LookupError:
            page = yield f'scroll({area.ref}, "down")'


def focus(task: str, page: Page) -> Acts:
    number = re.findall(r"(\d)\w\w input", task)
    yield click(of_role(page, "textbox")[int(number[0]) - 1 if number else 0])


def in_order(task: str, page: Page) -> Acts:
    while cards := of_role(page, "generic"):
        shown = [e for e in cards if e.name == "1"]
        page = yield click(shown[0] if shown else cards[0])  # once one is pressed they are turned, and keep their order


def open_pie(task: str, page: Page) -> Acts:
    page = yield click([e for e in of_role(page, "generic") if e.name == "+"][-1])
    page = yield "wait()"
    yield click(named(page, quoted(task)[0]))


# choices


def tick(task: str, page: Page) -> Acts:
    wanted = re.findall(r"Select (.*?) and (?:click|press)", task)[0]
    for name in () if wanted == "nothing" else wanted.split(", "):
        page = yield click(named(page, name))
    yield submit(page)


def choose_listed(task: str, page: Page) -> Acts:
    names = re.findall(r"Select (.*?) from the", task)[0].split(", ")
    page = yield f"select({of_role(page, 'combobox', 'listbox')[0].ref}, {', '.join(json.dumps(n) for n in names)})"
    yield submit(page)


def shades(task: str, page: Page) -> Acts:
    wanted = ("red", "green", "blue").index(re.findall(r"shades of (\w+)", task)[0])
    boxes = [e for e in of_role(page, "generic") if re.fullmatch(r"#[0-9a-f]{6}|red|lime|blue|green", e.name)]
    for number, box in enumerate(boxes):
        plain = {"red": "#ff0000", "lime": "#00ff00", "blue": "#0000ff", "green": "#008000"}.get(box.name, box.name)
        parts = [int(plain[at : at + 2], 16) for at in (1, 3, 5)]
        if parts[wanted] == max(parts):
            page = yield click([e for e in of_role(page, "generic") if e.ref][number])
    yield submit(page)


def odd_or_even(task: str, page: Page) -> Acts:
    lines = (text for text in page.texts if re.fullmatch(r"(?:Odd )?-?\d+(?: Even)?", text))
    numbers = [int(re.findall(r"-?\d+", line)[0]) for line in lines]
    for row, number in enumerate(numbers):
        page = yield click(named(page, "Odd" if number % 2 else "Even", "button", row))
    yield submit(page)


def find_greatest(task: str, page: Page) -> Acts:
    cards = [e for e in of_role(page, "generic") if re.fullmatch(r"-?\d+", e.name)]
    page = yield click(max(cards, key=lambda card: int(card.name)))
    yield submit(page)


def form_sequence_2(task: str, page: Page) -> Acts:
    radio, number, box = re.findall(r"the (\d)\w\w radio button and enter the number \"(-?\d+)\" into the (\d)", task)[
        0
    ]
    page = yield click(of_role(page, "radio")[int(radio) - 1])
    page = yield fill(of_role(page, "textbox")[int(box) - 1], number)
    yield submit(page)


# text


def enter_quoted(task: str, page: Page) -> Acts:
    words = quoted(task)
    text = words[0]
    if "upper case" in task:
        text = text.upper()
    if "lower case" in task:
        text = text.lower()
    page = yield fill(of_role(page, "textbox")[0], text)
    yield submit(page)


def passwords(task: str, page: Page) -> Acts:
    for number in (0, 1):
        page = yield fill(of_role(page, "textbox")[number], quoted(task)[0])
    yield submit(page)


def log_in(task: str, page: Page) -> Acts:
    for box, word in zip(("Username", "Password"), quoted(task), strict=True):
        page = yield fill(named(page, box, "textbox"), word)
    yield click(named(page, "Login", "button"))


def enter_date(task: str, page: Page) -> Acts:
    month, day, year = re.findall(r"(\d+)/(\d+)/(\d+)", task)[0]
    page = yield fill(of_role(page, "textbox")[0], f"{year}-{month}-{day}")
    yield submit(page)


def enter_time(task: str, page: Page) -> Acts:
    hour, minute, half = re.findall(r"(\d+):(\d+) ([AP]M)", task)[0]
    page = yield fill(of_role(page, "textbox")[0], f"{int(hour) % 12 + 12 * (half == 'PM'):02}:{minute}")
    yield submit(page)


def copy(task: str, page: Page) -> Acts:
    number = re.findall(r"the (\d)\w\w text area", task)
    boxes = of_role(page, "textbox")
    page = yield fill(boxes[-1], boxes[int(number[0]) - 1 if number else 0].value)
    yield submit(page)


def transform(task: str, page: Page) -> Acts:
    box = of_role(page, "textbox")[0]
    page = yield fill(box, box.name)
    yield submit(page)


def find_word(task: str, page: Page) -> Acts:
    number = int(re.findall(r"the (\d+)\w\w word", task)[0])
    paragraph = " ".join([*page.texts[1:], of_role(page, "textbox")[0].name])
    page = yield fill(of_role(page, "textbox")[0], re.findall(r"\w+", paragraph)[number - 1])
    yield submit(page)


def arithmetic(task: str, page: Page) -> Acts:
    box = of_role(page, "textbox")[0]
    first, sign, second = re.findall(r"(-?\d+) ([-+x]) (-?\d+) =", box.name + "\n" + text_of(page))[0]
    a, b = int(first), int(second)
    page = yield fill(box, str({"+": a + b, "-": a - b, "x": a * b}[sign]))
    yield submit(page)


def algebra(task: str, page: Page) -> Acts:
    left, sign, right, result = re.findall(r"(x|-?\d+) ([-+]) (x|-?\d+) = (-?\d+)", text_of(page))[0]
    known = int(right if left == "x" else left)
    if left == "x":
        x = int(result) - known if sign == "+" else int(result) + known
    else:
        x = int(result) - known if sign == "+" else known - int(result)
    page = yield fill(of_role(page, "textbox")[0], str(x))
    yield submit(page)


def read_table(task: str, page: Page) -> Acts:
    cells = dict(text.split(" | ", 1) for text in page.texts if " | " in text)
    boxes = of_role(page, "textbox")
    wanted = re.findall(r"the value of (.*?) into", task) or [box.name.rstrip(":") for box in boxes]
    for box, name in zip(boxes, wanted, strict=True):
        page = yield fill(box, cells[name])
    yield submit(page)


def guess(task: str, page: Page) -> Acts:
    low, high = 0, 9
    while low <= high:
        middle = (low + high) // 2
        page = yield fill(of_role(page, "spinbutton")[0], str(middle))
        page = yield submit(page)
        said = text_of(page) + of_role(page, "spinbutton")[0].name if of_role(page, "spinbutton") else ""
        low, high = (middle + 1, high) if "higher" in said else (low, middle - 1)


def spin(task: str, page: Page) -> Acts:
    target = int(re.findall(r"Select (-?\d+)", task)[0])
    while (value := int(of_role(page, "spinbutton")[0].value)) != target:
        page = yield click(named(page, "spinner up" if value < target else "spinner down", "button"))
    yield submit(page)


def last_word(task: str, page: Page) -> Acts:
    area, box = of_role(page, "textbox")[:2]
    page = yield fill(box, re.findall(r"\w+", area.value)[-1])
    yield submit(page)


def scroll_to_end(task: str, page: Page) -> Acts:
    for _ in range(20):
        page = yield f'scroll({of_role(page, "textbox")[0].ref}, "{"up" if "top" in task else "down"}")'
        if any("this is the" in note for note in page.notes):
            break
    yield submit(page)


def movies(task: str, page: Page) -> Acts:
    genre, person, year = re.findall(r"Search for (.*?) movies directed by (.*?) from year (\d+)", task)[0]
    for names, value in (("Genre", genre), ("Director", person), ("Year|Date", year)):
        box = next(e for e in of_role(page, "textbox") if re.search(names, e.name))
        page = yield fill(box, value)
    boxes = [e.line for e in of_role(page, "textbox")]
    yield click(next(e for e in page.elements if e.line > max(boxes) and e.role != "textbox"))


def complete(task: str, page: Page) -> Acts:
    first, *last = quoted(task)
    page = yield fill(of_role(page, "textbox")[0], first)
    page = yield "wait()"
    for item in of_role(page, "option", "menuitem", "listitem", "generic"):
        if item.name.startswith(first) and item.name.endswith(last[0] if last else ""):
            page = yield click(item)
            yield submit(page)
            return
    raise LookupError(f"nothing from {first} to {last} among {[(e.role, e.name) for e in page.elements]}")


def search(task: str, page: Page) -> Acts:
    number = int(re.findall(r"the (\d+)\w\w search result", task)[0])
    page = yield fill(of_role(page, "textbox")[0], quoted(task)[0])
    page = yield click(named(page, "Search", "button"))
    while number > 3:
        page = yield click(next(e for e in of_role(page, "link") if e.name in (">", "›", "Next")))
        number -= 3
    results = [e for e in of_role(page, "link") if e.name not in "<>123456789"]
    yield click(results[number - 1])


def style_text(task: str, page: Page) -> Acts:
    """Give everything the style underlined. The editor notices what is marked a moment later."""
    if "everything" not in task:
        raise LookupError("only the whole text is given a style here")
    page = yield click(of_role(page, "textbox")[0])
    page = yield f'press({of_role(page, "textbox")[0].ref}, "Control+A")'
    page = yield "wait()"
    styles = {"underlined": "ql underline", "bold": "ql bold", "italics": "ql italic"}
    page = yield click(named(page, next(styles[word] for word in styles if word in task), "button"))
    yield submit(page)


def log_in_popup(task: str, page: Page) -> Acts:
    """As ``log_in``; a window may lie over the page, and is closed."""
    for box, word in zip(("Username", "Password"), quoted(task), strict=True):
        for _ in range(4):
            page = yield fill(named(page, box, "textbox"), word)
            cancel = [each for each in of_role(page, "button") if each.name == "Cancel"]
            if not cancel:
                break
            page = yield click(cancel[0])
    yield click(of_role(page, "button")[0])


def choose_date(task: str, page: Page) -> Acts:
    month, day, year = (int(part) for part in re.findall(r"(\d+)/(\d+)/(\d+)", task)[0])
    page = yield click(of_role(page, "textbox")[0])
    page = yield "wait()"
    for _ in range(12):
        shown = re.findall(rf"({'|'.join(MONTHS)}) (\d{{4}})", text_of(page))[0]
        away = (year - int(shown[1])) * 12 + month - 1 - MONTHS.index(shown[0])
        if not away:
            break
        page = yield click(named(page, "Next" if away > 0 else "Prev"))
        page = yield "wait()"
    page = yield click(named(page, str(day), "link"))
    page = yield "wait()"
    yield submit(page)


def drag_item(task: str, page: Page) -> Acts:
    """Drag Theodosia to the 3rd position. / ... down by one position."""
    items = of_role(page, "listitem")
    name = re.findall(r"Drag ([\w-]+) ", task)[0]
    at = next(place for place, item in enumerate(items) if item.name == name)
    place = re.findall(r"the (\d)\w\w position", task)
    to = int(place[0]) - 1 if place else at + (1 if "down" in task else -1)
    yield f"drag({items[at].ref}, {items[to].ref})"


def mail_in_words(task: str, page: Page) -> Acts:
    """The same as ``mail``, said in other words."""
    said = re.findall(r"(?:by|from|that) ([A-Z][\w-]+)|([A-Z][\w-]+)(?:'s| wrote| sent)", task)
    sender = next(name for pair in said for name in pair if name and any(e.name == name for e in page.elements))
    thread = named(page, sender, "generic")
    if "delete" in task.casefold():
        yield click(next(e for e in page.elements if e.line > thread.line and e.name == "trash"))
        return
    others = [word for word in re.findall(r"[A-Z][\w-]+", task) if word not in (sender, *NO_NAMES)]
    reader = others[-1]
    page = yield click(thread)
    page = yield click(next(e for e in page.elements if e.name.casefold() == "forward"))
    page = yield fill(of_role(page, "textbox")[0], reader)
    yield click(next(e for e in page.elements if "send" in e.name.casefold()))


# more than one page


def mail(task: str, page: Page) -> Acts:
    """Find the email by A and forward it to B, reply with a text, or click an icon."""
    sender = re.findall(r"by (\w+)", task)[0]
    thread = named(page, sender, "generic")
    if "icon" in task:
        icon = "trash" if "trash" in task else "star"
        yield click(next(e for e in page.elements if e.line > thread.line and e.name == icon))
        return
    page = yield click(thread)
    if "forward" in task:
        page = yield click(next(e for e in page.elements if e.name.casefold() == "forward"))
        page = yield fill(of_role(page, "textbox")[0], re.findall(r"to (\w+)\.", task)[-1])
    else:
        page = yield click(next(e for e in page.elements if e.name.casefold() == "reply"))
        page = yield fill(of_role(page, "textbox")[-1], quoted(task)[0])
    yield click(next(e for e in page.elements if "send" in e.name.casefold()))


def phone_book(task: str, page: Page) -> Acts:
    name, wanted = re.findall(r"Find (\w+) in the contact book and click on their (.*?)\.", task)[0]
    label = {"phone number": "Phone", "email": "Email", "address": "Address"}[wanted]
    for _ in range(20):
        if name in page.headings:
            shown = dict(zip(("Phone", "Email", "Address"), of_role(page, "generic"), strict=False))
            yield click(shown[label])
            return
        page = yield click(named(page, ">"))


def post_button(task: str, page: Page) -> Acts:
    """For the user @a, click on the "Block" button. / ... on all posts by @a / on 2 posts by @a ..."""
    user, button = re.findall(r"@\w+", task)[0], quoted(task)[0].casefold()
    several = re.findall(r"on (all|\d+) posts? by", task)
    done = 0
    number = 0
    while True:
        lines = [line for line, text in page.by_line if re.search(rf"{user}(?!\w)", text)]
        lines = lines[1:] if (len(lines) and "For the user" in dict(page.by_line)[lines[0]]) or several else lines
        if number >= len(lines) or (several and several[0] != "all" and done >= int(several[0])):
            break
        below = [e for e in page.elements if e.line >= lines[number]]
        target = next((e for e in below[:5] if e.name.casefold() == button), None)
        if target is None:
            page = yield click(next(e for e in below if e.name == "more"))
            target = next(e for e in page.elements if e.line >= lines[number] and e.name.casefold().startswith(button))
        page = yield click(target)
        number += 1
        done += 1
        if not several:
            return
    yield submit(page)


def tree(task: str, page: Page) -> Acts:
    wanted = quoted(task)[0]
    opened: set[str] = set()
    for _ in range(20):
        here = [e for e in page.elements if e.name == wanted]
        if here:
            yield click(here[-1])
            return
        closed = [e for e in of_role(page, "generic") if e.name != "hitarea" and e.name not in opened]
        opened.add(closed[0].name)
        page = yield click(closed[0])
        page = yield "wait()"
    raise LookupError(f"{wanted} is nowhere in the tree")


def order(task: str, page: Page) -> Acts:
    if "one of each item" not in task:
        raise LookupError("only orders by name are solved here")
    for name in after(task, ": ").split(", "):
        line = next(line for line, text in page.by_line if text.strip() == f"text: {name}")
        page = yield click(next(e for e in page.elements if e.line > line and e.name == "+"))
    yield click(named(page, "Order!", "button"))


def generate(task: str, page: Page) -> Acts:
    for _ in range(40):
        page = yield click(named(page, "Generate", "button"))
        number = next(int(text) for text in page.texts if re.fullmatch(r"\d+", text))
        limits = [int(each) for each in re.findall(r"\d+", task)]
        fits = {
            "less": number < limits[0] if limits else False,
            "greater": number > limits[0] if limits else False,
            "even": number % 2 == 0,
            "odd": number % 2 == 1,
        }
        if fits[next(word for word in fits if word in task)]:
            yield submit(page)
            return


def delete_file(task: str, page: Page) -> Acts:
    ending = re.findall(r"ends with the extension (\.\w+)|with extension (\.\w+)|(\.\w+)", task)
    page = yield click(of_role(page, "textbox")[-1])
    page = yield 'press("l")'
    page = yield 'press("s")'
    page = yield 'press("Enter")'
    words = re.findall(r"[\w.-]+", " ".join([text_of(page), *(e.name for e in page.elements)]))
    wanted = next((part for each in ending for part in each if part), "")
    listed = words[words.index("ls") + 1 :] if "ls" in words else words
    file = next(w for w in listed if (w.endswith(wanted) if wanted else "." not in w) and w not in ("user", "ls"))
    for key in f"rm {file}":
        page = yield f"press({json.dumps('Space' if key == ' ' else key)})"
    yield 'press("Enter")'


# pointer and keys


def slide(task: str, page: Page) -> Acts:
    """Select -5 with the slider: the handle goes by the arrow keys, and the text beside it says where it is."""
    one = re.findall(r"Select (-?\d+)", task)
    targets = [int(each) for each in one or re.findall(r"-?\d+", task)]
    for number, target in enumerate(targets):
        for _ in range(400):
            values = [int(text) for text in page.texts if re.fullmatch(r"-?\d+", text)]
            values = values or [int(of_role(page, "checkbox")[0].name)]  # where it reads as the label of what follows
            if values[number] == target:
                break
            handle = named(page, "slider handle", "generic", number)
            page = yield f'press({handle.ref}, "{"ArrowRight" if values[number] < target else "ArrowLeft"}")'
    if "checkbox" in task:
        page = yield click(of_role(page, "checkbox")[int(re.findall(r"(\d)\w\w checkbox", task)[0]) - 1])
    yield submit(page)


def drag_sorted(task: str, page: Page) -> Acts:
    for place in range(10):
        items = [e for e in of_role(page, "listitem") if re.fullmatch(r"-?\d+", e.name)]
        if place >= len(items) - 1:
            break
        smallest = min(items[place:], key=lambda item: int(item.name))
        if smallest is not items[place]:
            page = yield f"drag({smallest.ref}, {items[place].ref})"
            page = yield "wait()"
    yield submit(page)


def drag_into(task: str, page: Page) -> Acts:
    page = yield f"drag({named(page, 's').ref}, {named(page, 'L').ref})"
    yield submit(page)


def dropdown_then_button(task: str, page: Page) -> Acts:
    choice, button = re.findall(r"Choose (.*?) from the dropdown, then click the button labeled \"(\w+)\"", task)[0]
    page = yield f"select({of_role(page, 'combobox')[0].ref}, {json.dumps(choice)})"
    yield click(named(page, button, "button"))


SOLUTIONS: dict[str, Solution] = {
    **dict.fromkeys(("click-button", "click-link", "unicode-test"), click_quoted),
    **dict.fromkeys(("click-button-sequence", "click-test-2", "click-test-transfer"), click_button_of),
    "click-test": click_the_only_button,
    "click-color": click_color,
    "click-shades": shades,
    **dict.fromkeys(("click-dialog", "click-dialog-2"), close_dialog),
    "click-tab": click_tab,
    **dict.fromkeys(("click-tab-2", "click-tab-2-easy", "click-tab-2-medium", "click-tab-2-hard"), look_through_tabs),
    **dict.fromkeys(("click-collapsible", "click-collapsible-nodelay"), expand_and_submit),
    **dict.fromkeys(("click-collapsible-2", "click-collapsible-2-nodelay"), look_through_tabs),
    "click-menu": choose_in_menu,
    "click-menu-2": menu_button,
    **dict.fromkeys(("click-checkboxes", "click-checkboxes-large", "click-checkboxes-transfer", "click-option"), tick),
    **dict.fromkeys(("choose-list", "click-scroll-list"), choose_listed),
    **dict.fromkeys(("click-pie", "click-pie-nodelay"), open_pie),
    "ascending-numbers": in_order,
    "buy-ticket": buy_cheapest,
    "sign-agreement": click_cancel_or_agree,
    **dict.fromkeys(("focus-text", "focus-text-2"), focus),
    "odd-or-even": odd_or_even,
    "find-greatest": find_greatest,
    "form-sequence": slide,
    "form-sequence-2": form_sequence_2,
    "form-sequence-3": dropdown_then_button,
    **dict.fromkeys(("enter-text", "enter-text-2", "enter-text-dynamic"), enter_quoted),
    "enter-password": passwords,
    "enter-date": enter_date,
    "enter-time": enter_time,
    "login-user": log_in,
    **dict.fromkeys(("copy-paste", "copy-paste-2"), copy),
    "text-transform": transform,
    "find-word": find_word,
    "simple-arithmetic": arithmetic,
    "simple-algebra": algebra,
    **dict.fromkeys(("read-table", "read-table-2"), read_table),
    "guess-number": guess,
    "use-spinner": spin,
    "scroll-text": last_word,
    "scroll-text-2": scroll_to_end,
    **dict.fromkeys(("multi-layouts", "multi-orderings"), movies),
    **dict.fromkeys(("use-autocomplete", "use-autocomplete-nodelay"), complete),
    "search-engine": search,
    **dict.fromkeys(
        (
            *("email-inbox", "email-inbox-delete", "email-inbox-forward", "email-inbox-important"),
            *("email-inbox-noscroll", "email-inbox-reply", "email-inbox-star-reply"),
        ),
        mail,
    ),
    "phone-book": phone_book,
    **dict.fromkeys(("social-media", "social-media-all", "social-media-some"), post_button),
    "navigate-tree": tree,
    "order-food": order,
    "generate-number": generate,
    "terminal": delete_file,
    **dict.fromkeys(("use-slider", "use-slider-2"), slide),
    "drag-sort-numbers": drag_sorted,
    "drag-items": drag_item,
    "text-editor": style_text,
    "login-user-popup": log_in_popup,
    **dict.fromkeys(("choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay"), choose_date),
    **dict.fromkeys(("email-inbox-forward-nl", "email-inbox-forward-nl-turk", "email-inbox-nl-turk"), mail_in_words),
    "drag-box": drag_into,
}
