"""Bad inputs of the commands beside train: kind, words, what the page shows, files; see ``bad_inputs.py``."""

from __future__ import annotations

from collections.abc import Iterator

Case = tuple[str, tuple[str, ...], str, tuple[tuple[str, bytes], ...]]

ORDERS = b"customer,sku,date,stars\n" + b"".join(
    b"c%d,s%d,2024-01-%02d,%d\n" % (row % 9, row * 5 % 7, row % 27 + 1, row % 5 + 1) for row in range(60)
)
SPACES = (
    "",
    "- tau\n",
    "tau: 3\n",
    "tau: []\n",
    "tau: {low: 1}\n",
    "tau: {low: 2, high: 1}\n",
    "tau: {low: 0, high: 1, log: true}\n",
    "tau: {low: 0.1, high: 1, step: -1}\n",
    "taus: [0.1, 0.2]\n",
    "tau: [0.1, -1]\n",
    "epochs: [1, 2]\n",
    "tau: !!python/object/apply:os.getcwd []\n",
)
RECBOLES_SPACES = (
    "tau uniform 0.1\n",
    "tau choice [0.1, __import__('os')]\n",
    "learning_rate loguniform 0,-8\n",
    "tau normal 0,1\n",
    "tau\n",
)
COLUMNS = ("--user=customer", "--item=sku", "--time=date")
TABLE, DATA = "--input=HERE/orders.csv", "--output=HERE/shop"


def prepared(*more: str) -> tuple[str, ...]:
    """prepare of the good table, but for the options given here."""
    own = {word.partition("=")[0] for word in more}
    return (
        "prepare",
        *(word for word in (TABLE, DATA, *COLUMNS) if word.partition("=")[0] not in own),
        *more,
    )


def preparing() -> Iterator[Case]:
    """Options of prepare that cannot be."""
    for more in (
        ("--input=HERE/nowhere.csv",),
        ("--input=HERE/orders.xlsx",),
        ("--user=person",),
        ("--item=",),
        ("--time=when",),
        ("--user=sku",),
        ("--time_format=noon",),
        ("--time_format=%d.%m.%Y", "--strict"),
        ("--time_format=ms",),
        ("--min_rating=3",),
        ("--rating=points", "--min_rating=3"),
        ("--rating=stars", "--min_rating=many"),
        ("--rating=stars", "--min_rating=9"),
        ("--since=yesterday",),
        ("--since=2030-01-01",),
        ("--since=2024-02-01", "--until=2024-01-01"),
        ("--duplicates=some",),
        ("--core=0",),
        ("--core=1000",),
        ("--core=5", "--user_core=-1"),
        ("--separator=",),
        ("--columns=customer,sku",),
        ("--memory=much",),
        ("--memory=1KB",),
        ("--output=HERE/orders.csv",),
        ("--output=",),
        ("--epochs=3",),
    ):
        yield "prepare", prepared(*more), " ".join(f"`{word}`" for word in more), (("orders.csv", ORDERS),)
    yield (
        "prepare",
        prepared(),
        "the output folder holds something",
        (("orders.csv", ORDERS), ("shop/mine", b"")),
    )
    yield "prepare", ("prepare",), "no option", ()


def tables() -> Iterator[Case]:
    """Tables of which prepare makes nothing."""
    for what, content in (
        ("an empty table", b""),
        ("a table of a header alone", b"customer,sku,date,stars\n"),
        ("a table with two columns of one name", ORDERS.replace(b"sku", b"customer", 1)),
        ("a table of zeros", b"\0" * 64),
        ("a table in Latin-1", ORDERS.replace(b"c3", b"\xe9")),
        ("a table without one time", ORDERS.replace(b"2024-", b"soon-")),
        ("a table without one item", b"customer,sku,date\na,,2024-01-01\nb,,2024-01-02\n"),
    ):
        yield "prepare", prepared(), what, (("orders.csv", content),)
    bad_row = (("orders.csv", ORDERS + b"c1,s1,soon,3\n"),)
    yield "prepare", prepared("--strict"), "`--strict`, a bad row", bad_row
    yield (
        "prepare",
        prepared("--input=HERE/orders.parquet"),
        "a parquet file that is none",
        (("orders.parquet", b"PAR1"),),
    )
    yield (
        "prepare",
        prepared("--input=HERE/orders.csv.gz"),
        "a gz file that is none",
        (("orders.csv.gz", ORDERS),),
    )
    yield (
        "prepare",
        prepared("--input=HERE/orders.jsonl"),
        "json lines that are none",
        (("orders.jsonl", b"{1}\n"),),
    )


def of_runs() -> Iterator[Case]:
    """Commands that read a run."""
    unfinished = (("run/run.log", b""),)
    for command, more in (
        ("recommend", ("--output=HERE/top.csv",)),
        ("similar", ("--items=i1",)),
        ("export", ()),
        ("compare", ("HERE/run", "HERE/run")),
    ):
        run = () if command == "compare" else ("--run=HERE/run",)
        yield command, (command, *run, *more), "an unfinished run", unfinished
        yield command, (command, *run, *more), "no such run", ()
        yield command, (command,), "no run", ()
        yield command, (command, *run, *more, "--epochs=3"), "`--epochs=3`", unfinished
    for more in (
        (),
        ("--output=HERE/top.docx",),
        ("--output=",),
        ("--output=HERE/nowhere/top.csv",),
        ("--output=HERE/top.csv", "--topk=0"),
        ("--output=HERE/top.csv", "--topk=all"),
        ("--output=HERE/top.csv", "--split=tomorrow"),
        ("--output=HERE/top.csv", "--exclude_seen=perhaps"),
        ("--output=HERE/top.csv", "--users=HERE/a", "--sequences=HERE/b"),
        ("--output=HERE/top.csv", "--exclude_seen=True", "--repeat_purchases"),
    ):
        yield (
            "recommend",
            ("recommend", "--run=HERE/run", *more),
            " ".join(f"`{word}`" for word in more),
            unfinished,
        )
    for more in (("--items=",), ("--items=i1", "--topk=0"), ("--items=i1", "--topk=some"), ()):
        yield (
            "similar",
            ("similar", "--run=HERE/run", *more),
            " ".join(f"`{word}`" for word in more),
            unfinished,
        )
    for more in (("--format=onxx",), ("--output=",), ("--output=HERE/run",)):
        yield (
            "export",
            ("export", "--run=HERE/run", *more),
            " ".join(f"`{word}`" for word in more),
            unfinished,
        )


def searching() -> Iterator[Case]:
    """A search that cannot begin."""
    base = ("tune", "--dataset=bad", "--data_path=HERE", "--output_dir=HERE/tune", "--show_progress=False")
    for ending, text in (
        *((".yaml", text) for text in SPACES),
        *((".test", text) for text in RECBOLES_SPACES),
    ):
        shown = f"a space{ending} of `{text.strip() or 'nothing'}`"
        yield "tune", (*base, f"--space=HERE/space{ending}"), shown, ((f"space{ending}", text.encode()),)
    for more in (
        ("--space=HERE/nowhere.yaml",),
        ("--max_trials=0",),
        ("--max_trials=many",),
        ("--sampler=magic",),
        ("--pruner=soon",),
        ("--seeds=-1",),
        ("--jobs=0",),
        ("--model=Pop",),
        ("--output_dir=",),
        ("--tau=0.2", "--space=HERE/space.yaml"),
        ("--track=diary", "--space=HERE/space.yaml"),
    ):
        own = {word.partition("=")[0] for word in more}
        words = (*(word for word in base if word.partition("=")[0] not in own), *more)
        yield "tune", words, " ".join(f"`{word}`" for word in more), (("space.yaml", b"tau: [0.1, 0.2]\n"),)


def sharing() -> Iterator[Case]:
    """A search of several machines that cannot begin."""
    secret = "postgresql://me:s3cret"
    for case in (
        *("--storage=here", "--storage=redis://host", "--storage=grpc://host"),
        *(f"--storage={secret}@127.0.0.1:1/db", f"--storage={secret}#@host/db"),
        *("--storage=sqlite:///HERE/none/study.db", "--study=mine", "--silent_after=60"),
        *("--storage=sqlite:///study.db  --silent_after=0", "--engine=rey", "--address=here:1"),
    ):
        words = case.split("  ")
        yield "shared search", ("tune", *words), " ".join(f"`{word}`" for word in words), ()


CASES = (*preparing(), *tables(), *of_runs(), *searching(), *sharing())
