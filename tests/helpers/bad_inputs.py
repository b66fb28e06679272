"""Bad inputs, each with the words of a command line; what is said of it is in ``docs/errors.md``.

``PYTHONPATH=tests python tests/helpers/bad_inputs.py`` writes the page. ``HERE`` in words and files stands for a folder
of its own, in which ``bad/bad.inter`` is the data set.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from helpers.bad_commands import CASES as COMMANDS

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import SPEAKER

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "errors.md"
HERE = "HERE"

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"
ACTIONS = "".join(f"u{user}\ti{(user * 3 + step) % 7}\t{step}\n" for user in range(6) for step in range(5))
GOOD = HEADER + ACTIONS


class Bad(NamedTuple):
    """A bad input.

    Args:
        kind: a heading of the page.
        what: the input as the page shows it; by default the words that are its own.
        words: those of the command line besides ``COMMON``.
        files: content by name, beside or in place of the good data file.
        common: whether ``COMMON`` comes first.
    """

    kind: str
    words: tuple[str, ...] = ()
    what: str = ""
    files: tuple[tuple[str, bytes], ...] = ()
    common: bool = True

    @property
    def shown(self) -> str:
        """The input, on the page."""
        return self.what or " ".join(f"`{word}`" for word in self.words)


COMMON = (
    *("--model=Pop", "--dataset=bad", f"--data_path={HERE}", f"--output_dir={HERE}/run"),
    *("--show_progress=False", "--state=ERROR"),
)


def said(bad: Bad, folder: Path) -> tuple[int, str]:
    """Exit code, and what is said on stderr, with HERE for the folder."""
    for name, content in (("bad/bad.inter", GOOD.encode()), *bad.files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.replace(HERE.encode(), str(folder).encode()))
    own = {word.partition("=")[0] for word in bad.words}
    words = [word for word in COMMON if word.partition("=")[0] not in own] if bad.common else []
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([word.replace(HERE, str(folder)) for word in (*bad.words, *words)])
    return code, err.getvalue().replace(str(folder), HERE)


def sentence(text: str) -> str:
    """What follows the speaker's name, if it is one line."""
    (line,) = text.splitlines()
    assert line.startswith(SPEAKER), text
    return line[len(SPEAKER) :].strip()


def data(what: str, content: str | bytes, *words: str) -> Bad:
    """A bad data file."""
    raw = content if isinstance(content, bytes) else content.encode()
    return Bad("data file", words, what + "".join(f" `{word}`" for word in words), (("bad/bad.inter", raw),))


def line(what: str, text: str, *words: str) -> Bad:
    """A bad line after ten good ones."""
    rows = ACTIONS.splitlines(keepends=True)
    return data(what, HEADER + "".join([*rows[:10], f"{text}\n", *rows[10:]]), *words)


def of(kind: str, *cases: str) -> Iterator[Bad]:
    """Cases of a few words each."""
    return (Bad(kind, tuple(case.split("  "))) for case in cases)


COMMAND_LINE = (
    *(
        Bad("command line", tuple(case.split("  ")), common=False)
        for case in (
            *(
                "trian",
                "--epochs",
                "epochs=3",
                "--=3",
                "--epochs=1  --epochs=2",
                "train  stray",
                "report  --nope=1",
            ),
            *("--debug=maybe", "--resume", "--help=perhaps", "inspect", "inspect  --runs=nowhere", "report"),
            *(
                "benchmark  --seeds=x",
                "benchmark  --models=NoSuch",
                "sweep",
                "sweep  --param=tau",
                "--output_dir=",
            ),
            *(
                "--model=NoSuch",
                "--config_files=nowhere.yaml",
                "--callback=1",
                "sweep  --param=no_such  --values=1",
                "benchmark  --models=Pop  --eval_args={'split': {'LS': 'all'}, 'order': 'TO'}",
            ),
        )
    ),
)
SETTINGS = (
    *of("setting", "--epoch=3", "--quer_windows=[1]", "--epochs=-1", "--epochs=1.5", "--learning_rate=0"),
    *of("setting", "--learning_rate=nan", "--train_batch_size=0", "--eval_batch_size=none", "--seed=-1"),
    *of("setting", "--seed=9999999999", "--topk=0", "--topk=[]", "--metrics=HR", "--metrics=[NDCG,AUC]"),
    *of("setting", "--metrics=AUC", "--valid_metric=NDCG@7", "--valid_metric=MRR@10", "--stopping_step=soon"),
    *of("setting", "--eval_args=TO", "--eval_args={'order': 'RO'}", "--learner=sgdd", "--weight_decay=-1"),
    *of(
        "setting",
        "--eval_args={'order': 'TO', 'split': {'XS': 1}}",
        "--eval_args={'order': 'TO', 'mode': 'uni'}",
    ),
    *of("setting", "--device=gpu", "--use_gpu=maybe", "--gpu_id=abc", "--shuffle=maybe", "--mask_seen=1"),
    *of(
        "setting",
        "--nproc=0",
        "--worker=-1",
        "--state=loud",
        "--MAX_ITEM_LIST_LENGTH=1",
        "--time_order=float32",
    ),
    *of(
        "setting",
        "--rm_dup_inter=all",
        "--long_sequences=first",
        "--transition=kd",
        "--clip_grad_norm={'max': 1}",
    ),
    *of(
        "setting",
        "--train_neg_sample_args={'number': 3}  --model=BPR",
        "--reproducibility=2",
        "--log_wandb=maybe",
    ),
    *of(
        "setting",
        "--save_dataset=True",
        "--dataloaders_save_path=x",
        "--threshold={'rating': 3}",
        "--transform=crop",
    ),
    *of(
        "setting",
        "--benchmark_filename=[a,b,c]",
        "--valid_metric_bigger=False",
        "--MODEL_TYPE=2",
        "--data_path=3",
    ),
    *of(
        "setting",
        "--additional_feat_suffix=kg",
        "--preload_weight={'a': 'b'}",
        "--kg_reverse_r=True",
        "--dataset=a/b",
    ),
    *of("setting", "--checkpoint_dir=saved", "--neg_sampling={'uniform': 1}", "--dataset=", "--tail_ratio=0"),
)
MODELS = (
    *of(
        "model",
        "--model=MQSATED  --alpha=2",
        "--model=MQSATED  --query_windows=[3,3]",
        "--model=MQSATED  --tau=0",
    ),
    *of(
        "model",
        "--model=MQSATED  --n_heads=3",
        "--model=MQSATED  --query_pooling=max",
        "--model=MQSATED  --lambda_kd=-1",
    ),
    *of("model", "--model=MQSATED  --softmax_precision=float16", "--model=MQSATED  --negatives=0"),
    *of("model", "--model=SASRec  --tau=0.2", "--model=SASRec  --alpha=7", "--model=SASRec  --n_heads=3"),
    *of(
        "model",
        "--model=SASRec  --hidden_dropout_prob=2",
        "--model=SASRec  --hidden_act=foo",
        "--model=SASRec  --negatives=9",
    ),
    *of(
        "model",
        "--model=SASRec  --embedding_size=9",
        "--model=SASRec  --loss_type=XE",
        "--model=LightGCN  --n_layers=-1",
    ),
    *of(
        "model",
        "--model=LightGCN  --reg_weight=-1",
        "--model=BERT4Rec  --mask_ratio=2",
        "--model=BERT4Rec  --ft_ratio=1.5",
    ),
    *of(
        "model",
        "--model=BPR  --embedding_size=0",
        "--model=BPR  --loss_type=CE",
        "--model=GRU4Rec  --num_layers=0",
    ),
    *of(
        "model", "--model=Caser  --nv=0", "--model=FPMC  --loss_type=CE", "--model=ItemKNN  --knn_method=both"
    ),
    *of(
        "model",
        "--model=S3Rec",
        "--model=FEARec",
        "--model=RaCT",
        "--model=DIEN",
        "--model=KSR",
        "--model=FM",
    ),
    *of(
        "model",
        "--model=KGAT",
        "--model=SASRecF",
        "--model=GRU4RecCPR",
        "--model=DGCF  --train_batch_size=9999",
    ),
    *of(
        "model",
        "--model=ConvNCF  --embedding_size=8",
        "--model=SLIMElastic  --alpha=wide",
        "--model=NeuMF  --mf_train=1",
    ),
    *of("model", "--model=MQSATED  --prefixes=longest", "--model=LightGCN  --prefixes=longest"),
)
DATA = (
    data("an empty file", ""),
    data("a header alone", HEADER),
    data("a compressed file", b"\x1f\x8b\x08\x00rest"),
    data("a byte-order mark", b"\xef\xbb\xbf" + GOOD.encode()),
    data("NUL characters", b"\0\0\0\0"),
    data("an image", b"\x89PNG\r\n\x1a\n" + bytes(range(200))),
    data("Latin-1 in a file of UTF-8", GOOD.replace("u3", "\xfc").encode("latin-1")),
    data("no types in the header", GOOD.replace(":token", "")),
    data("an unknown type", GOOD.replace(":float", ":number")),
    data("a blank after a type", GOOD.replace("item_id:token", "item_id:token ")),
    data("two columns of one name", GOOD.replace("item_id", "user_id")),
    data("no column of users", GOOD.replace("user_id", "person")),
    data("no column of items", GOOD.replace("item_id", "film")),
    data("no column of times", GOOD.replace("timestamp", "when")),
    data("times of type token", GOOD.replace("timestamp:float", "timestamp:token")),
    data("commas for tabs", GOOD.replace("\t", ",")),
    data("nobody has three actions", HEADER + "a\tx\t1\na\ty\t2\nb\tx\t1\n"),
    line("a line without its last column", "u1\ti1"),
    line("a line with a column more", "u1\ti1\t3\t4"),
    line("a comment", "# a comment"),
    line("a user without a name", "\ti1\t3"),
    line("an item without a name", "u1\t\t3"),
    line("no time", "u1\ti1\t"),
    line("a blank for a time", "u1\ti1\t "),
    line("a word for a time", "u1\ti1\tsoon"),
    line("NaN for a time", "u1\ti1\tnan"),
    line("an infinite time", "u1\ti1\tinf"),
    line("a time too large", "u1\ti1\t1e400"),
    line("a day that is none", "u1\ti1\t2024-02-30"),
)
LOADING = (
    *of(
        "loading",
        "--dataset=other",
        f"--data_path={HERE}/nowhere",
        "--USER_ID_FIELD=person",
        "--TIME_FIELD=when",
    ),
    *of(
        "loading", "--load_col={'inter': ['user_id']}", "--load_col=3", "--unload_col={'inter': ['item_id']}"
    ),
    *of(
        "loading",
        "--field_separator=",
        "--encoding=klingon",
        "--user_inter_num_interval=5",
        "--val_interval=3",
    ),
    *of("loading", "--val_interval={'rating': '[3,inf)'}", "--val_interval={'timestamp': '[3'}"),
    *of(
        "loading",
        "--user_inter_num_interval=[100,inf)",
        "--item_inter_num_interval=[5",
        "--rm_dup_inter=middle",
    ),
    *of("loading", "--val_interval={'timestamp': '[9999,inf)'}", "--numerical_features=3"),
    *of("loading", "--eval_args={'order': 'TO', 'split': {'RS': [1, 0, 0]}}"),
)
_YAML = "--config_files=HERE/mine.yaml"
FILES = tuple(
    Bad("file of settings", (_YAML,), what, (("mine.yaml", text),))
    for what, text in (
        ("a list", b"- epochs\n- 3\n"),
        ("one word", b"epochs\n"),
        ("a bracket that stays open", b"epochs: [1\n"),
        ("a tab for blanks", b"eval_args:\n\torder: TO\n"),
        ("a Python object", b"seed: !!python/object/apply:os.getcwd []\n"),
        ("a file of zeros", b"\0\0\0"),
        ("Latin-1", b"dataset: caf\xe9\n"),
        ("a setting that is none", b"epoch: 3\n"),
        ("a value out of range", b"epochs: -3\n"),
    )
)
FOLDERS = (
    Bad("run folder", (), "`--output_dir` is a file", (("run", b"mine"),)),
    Bad("run folder", (), "a checkpoint.pth of somebody's own", (("run/checkpoint.pth", b"mine"),)),
    Bad("run folder", (), "an unfinished run", (("run/run.log", b""),)),
    Bad("run folder", (), "a finished run", (("run/run.log", b""), ("run/result.json", b"{}"))),
    Bad(
        "run folder",
        ("--resume",),
        "`--resume`, result.json is no JSON",
        (("run/run.log", b""), ("run/result.json", b"{")),
    ),
    Bad(
        "run folder",
        ("--resume",),
        "`--resume`, result.json is empty",
        (("run/run.log", b""), ("run/result.json", b"{}")),
    ),
    Bad(
        "run folder",
        ("--resume",),
        "`--resume`, ids.npz is damaged",
        (("run/run.log", b""), ("run/ids.npz", b"x")),
    ),
    Bad(
        "run folder",
        ("--resume",),
        "`--resume`, state.pth is damaged",
        (("run/run.log", b""), ("run/state.pth", b"x")),
    ),
    Bad("run folder", ("inspect", f"--runs={HERE}/run"), "", (("run/run.log", b""),), common=False),
)
CASES = (*COMMAND_LINE, *SETTINGS, *MODELS, *DATA, *LOADING, *FILES, *FOLDERS)
CASES += tuple(Bad(*case, common=False) for case in COMMANDS)


def row(bad: Bad, text: str) -> str:
    """A line of the page."""
    shown, told = (part.replace("|", "\\|") for part in (bad.shown, text))
    return f"| {bad.kind} | {shown} | {told} |"


def page(rows: list[str]) -> str:
    """The whole page."""
    return f"""# Errors

Bad input ends in one sentence on stderr and exit code 2, before anything is written. These are {len(rows)} cases, each
of them a test (`tests/test_errors.py`); `PYTHONPATH=tests python tests/helpers/bad_inputs.py` writes this
page. HERE stands for a folder.

| kind | input | sentence |
| --- | --- | --- |
""" + "".join(f"{line}\n" for line in rows)


def main_page() -> None:
    """Make every mistake, and write the page."""
    rows = []
    for bad in CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                code, text = said(bad, Path(folder).resolve())
                assert code == 2, (bad.shown, code, text)
                rows.append(row(bad, sentence(text)))
            except BaseException as error:
                print("NOT A SENTENCE:", bad.shown, type(error).__name__, str(error)[:300])
    PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main_page()
