"""What is known of a defect before seeing one: its shape, its size, a description (UniADC, Table S1)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Size = Literal["small", "medium", "large"]


class Prior(BaseModel):
    """Words about one kind of defect of one product.

    Args:
        defect: its name.
        shapes: mask families it may take (`line`, `ellipse` …); empty: any.
        sizes: sizes it may have; empty: any.
        description: a sentence for a text-guided generator.
        on_foreground: whether it stays on the object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    defect: str
    shapes: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = ()
    description: str = ""
    on_foreground: bool = True
