"""What is installed, and with what; the settings of the tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
# Read, not imported: to import the package takes everything that it needs.
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "recbole_mqsa/version.py").read_text("utf-8"), re.M)[1]

# The yaml files lie in the top-level folder properties/ and travel inside the package. The folder gets another
# name there, as recbole_mqsa/properties.py has that one already.
YAML = "recbole_mqsa._properties"

TUNE = ["optuna>=5", "cmaes>=0.11"]
SERVER = ["psycopg2-binary>=2.9.10", "grpcio>=1.60"]
EXPORT = ["onnx>=1.17", "onnxscript>=0.5", "onnxruntime>=1.20", "safetensors>=0.5"]
# sqlalchemy and alembic are what MLflow keeps its runs with where there is no server.
NOTEBOOKS = ["nbclient>=0.10", "ipykernel>=6.29"]
TRACK = ["mlflow-skinny>=3", "sqlalchemy>=2", "alembic>=1.13", "wandb>=0.21"]

setup(
    name="recbole-mqsa",
    version=VERSION,
    description="MQSA-TED for RecBole: multi-query self-attention with transition-aware embedding distillation",
    long_description=README.read_text("utf-8") if README.is_file() else "",
    long_description_content_type="text/markdown",
    author="The recbole_mqsa developers",
    license="MIT",
    license_files=["LICENSE"],
    keywords="recommender-system sequential-recommendation self-attention distillation recbole",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",  # run_folder.py measures memory with the module resource
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=[*find_packages(include=["recbole_mqsa", "recbole_mqsa.*"]), YAML],
    package_dir={YAML: "properties"},
    package_data={
        "recbole_mqsa": ["py.typed"],
        "recbole_mqsa.experiments.report": ["published.csv", "templates/*.*", "templates/sections/*.*"],
        YAML: ["*.yaml", "*/*.yaml", "*/*/*.yaml", "preset/*/*/*.yaml"],
    },
    zip_safe=False,  # RecBole's Config opens the yaml files by path
    # From 3.12 on, constraints.txt takes RecBole from third_party/recbole, as the released wheel cannot be installed.
    python_requires=">=3.9",
    # .ci/run tests with the versions of constraints.txt (numpy 2), and with every lower bound here (numpy 1.26)
    # but torch's: 2.6 is the first with safe loading as its default, and with a fused Adam on the processor.
    install_requires=[
        "recbole==1.2.1",  # the work-arounds of compat.py are for this one
        "torch>=2.6",
        "numpy>=1.26",
        "scipy>=1.13",  # the first for numpy 2
        "pandas>=2.2.2,<3",  # the first for numpy 2; in 3, RecBole's chained fillna(inplace=True) does nothing
        "matplotlib>=3.9",  # the first for numpy 2
        "pyyaml>=6.0.1",
        "filelock>=3.12",
        "psutil>=5.9",  # RecBole's log of the machine imports it
        "jinja2>=3.1",  # brings markupsafe, which the report uses too
        "tqdm>=4.66",
    ],
    extras_require={
        # cmaes is what Optuna's sampler of that name needs.
        "tune": TUNE,
        "tune-server": [*TUNE, *SERVER],  # a search by several machines
        # A search on a Ray cluster. Below 3.12, RecBole's own wheel demands an older Ray; docs/tuning.md has the way.
        "ray": [*TUNE, 'ray[tune]>=2.50; python_version >= "3.12"'],
        "export": EXPORT,
        "serve": [*EXPORT, "fastapi>=0.110", "uvicorn>=0.30"],  # what examples/serve.py needs
        "track": TRACK,
        "prepare": ["duckdb>=1.2"],  # reads tables larger than memory; also writes recommend's parquet files
        "notebooks": ["duckdb>=1.2", *NOTEBOOKS],  # what the notebooks in examples/ need
        "docs": ["mkdocs-material>=9.7", "mkdocstrings[python]>=0.30"],  # the documentation site
        # setuptools builds the wheel that tests/test_packaging.py looks into.
        # hyperopt is what recbole.trainer.HyperTuning needs.
        "test": [
            *TUNE,
            *SERVER,
            *EXPORT,
            *TRACK,
            *NOTEBOOKS,
            "fastapi>=0.110",
            "httpx>=0.27",  # of fastapi's test client
            "hyperopt>=0.2.7",
            "duckdb>=1.2",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "mypy>=1.11",
            "setuptools>=70.1",
        ],
    },
    entry_points={"console_scripts": ["recbole-mqsa = recbole_mqsa.cli.main:main"]},
)
