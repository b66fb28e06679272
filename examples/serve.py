"""Serves an exported run over HTTP: ``POST /recommend {"items": ["a", "b"], "k": 10}``, items oldest first.

recbole-mqsa export --run=runs/shop --output=shop && pip install fastapi uvicorn onnxruntime
EXPORT=shop uvicorn serve:app_of_environment --factory
"""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field


class Person(BaseModel):
    items: list[str] = Field(min_length=1, max_length=10_000)
    k: int = Field(10, ge=1, le=1000)
    exclude_seen: bool = True


def app_of_environment() -> FastAPI:
    folder = Path(os.environ["EXPORT"])
    about, names = (json.loads((folder / name).read_text("utf-8")) for name in ("export.json", "items.json"))
    number = {name: place for place, name in enumerate(names) if place}
    session = onnxruntime.InferenceSession(folder / about["file"], providers=["CPUExecutionProvider"])
    app = FastAPI(title=f"{about['model']} on {about['dataset']}")

    @app.post("/recommend")
    def recommend(person: Person) -> dict:
        if not (known := [number[item] for item in person.items if item in number]):
            raise HTTPException(422, "none of these items is known; write items as the data have them")
        scores = session.run(["scores"], {"item_seq": np.array([known[-about["longest"] :]])})[0][0]
        scores[known if person.exclude_seen else 0] = -np.inf
        best = [item for item in np.argsort(-scores, kind="stable")[: person.k] if scores[item] > -np.inf]
        found = [{"item": names[item], "score": float(scores[item])} for item in best]
        return {"recommendations": found, "unknown": len(person.items) - len(known)}

    return app
