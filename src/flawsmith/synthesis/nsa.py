"""NSA: blend resized patches of another normal into the picture, and label how much they changed it.

Natural synthetic anomalies (Schlüter, Tan, Hou and Kainz, ECCV 2022), section 3. Original code:
hmsch/natural-synthetic-anomalies (self_sup_tasks.py, train_mvtec.py). Numbers of each product: `nsa_products`.
Preset `asbench` is the call of M-3LAB/ASBench (NSA_generation.py), which passes no parameter: one patch of the picture itself.
Departs in eight places: OpenCV's clone is computed by a sine transform, unmoved and confined to the patch; labels of patches are
joined where the original lets a later patch erase an earlier one; ellipses are turned, not skewed (`skewed`); the label stays
within the patches, and pixels outside it as they are; a draw that changes nothing is repeated; what means 256 pixels shrinks with
smaller pictures; the object mask is no foreground: the inherited `foreground` confines, `objects` guides; a product without a row
in the table has its numbers fitted.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, PrivateAttr, field_validator
from scipy.special import expit

from flawsmith.appearance.change import GRAIN, Changes, intensity
from flawsmith.appearance.pasting import paste
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import NotFitted, UnknownName
from flawsmith.core.samples import SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.data.resize import resize_image, resize_mask
from flawsmith.masks.boxes import framed, inside
from flawsmith.masks.foreground import ForegroundRule, parse_rule
from flawsmith.synthesis.nsa_patches import Gradients, Ground, Patched, Plan, changes_under, compose, compose_under
from flawsmith.synthesis.nsa_products import FIT_SIDE, LOOKED_AT, PRODUCTS, TEXTURE, Product, fitted, object_mask
from flawsmith.synthesis.training_free import Placed, PositiveRange, Scene, Share, TrainingFree, in_order

ATTEMPTS = 5
FACTORS = (0.05, 0.95)
FAINTEST = 1 / 765
"""Least value of a soft mask inside the label: one level of one channel."""

FIT_DRAWS = 24
WORDS = ("auto", "fit", "none")

HalfWidth = Annotated[float, Field(gt=0, le=0.5)]
HalfWidthRange = Annotated[tuple[HalfWidth, HalfWidth], AfterValidator(in_order)]
Positive = Annotated[float, Field(gt=0)]
Blend = Literal["product", "normal", "mixed", "mix", "uniform", "swap"]
Label = Literal["logistic", "intensity", "continuous", "binary"]


class Nsa(TrainingFree):
    """Blend resized patches of another normal in; the soft mask tells how much they changed.

    Args:
        product: whose numbers to use where a parameter below is None: `auto` takes the row of the sample's product, or fits;
            `fit` always fits; `none` uses those of an unknown surface; or the name of a row.
        source: what patches are cut from: another of the `normals`, or the picture's `own`.
        height: least and largest half-width along y, shares of the height; None: the product's.
        width: the same along x.
        size_draw: `gamma`, cut to the bounds, or `uniform` over them.
        gamma: shape, scale and offset of gamma half-widths; None: the product's.
        patches: most patches; each after the first with probability one half; None: the product's.
        ellipses: 0 for rectangles, else patches are the union of so many ellipses; the paper's variant has 5.
        skewed: the ellipses of the published formula, which are not turned but skewed.
        resize: least and largest factor of a patch's size; None: the product's.
        objects: rule for the object that patches must hit (see `foreground`), or `product` for the product's.
        min_object: least share of a patch that is object; None: the product's.
        min_overlap: least share of a patch's object that lies on the picture's object; None: the product's.
        blend: gradients of a Poisson blend (`normal`, `mixed`, `mix` for a coin between them, `product`), `uniform` mixing, or a
            hard `swap`.
        erode: how often a Poisson blend shrinks its mask by 3×3 first; 3 is OpenCV's, fewer under 256 pixels.
        tolerance: mean change of the channels, in levels, that is no label.
        label: value of the soft mask: `logistic` of the smoothed change, its `intensity` / 255, `continuous` strength of the
            blend drawn from [0.05, 0.95], or `binary`.
        logistic: k and x0 of `logistic`; None: the product's.
    """

    name: ClassVar[str] = "nsa"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "normals"}), takes_mask=True, area=(0.01, 0.2)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "asbench": {
            "product": "none",
            "source": "own",
            "height": (0.05, 0.2),
            "width": (0.05, 0.2),
            "size_draw": "uniform",
            "patches": 1,
            "resize": (0.7, 1.3),
            "objects": "none",
            "blend": "normal",
            "label": "binary",
        },
    }

    product: str = "auto"
    source: Literal["normals", "own"] = "normals"
    height: HalfWidthRange | None = None
    width: HalfWidthRange | None = None
    size_draw: Literal["gamma", "uniform"] = "gamma"
    gamma: tuple[Positive, Positive, Share] | None = None
    patches: Annotated[int, Field(ge=1, le=32)] | None = None
    ellipses: int = Field(default=0, ge=0, le=50)
    skewed: bool = False
    resize: PositiveRange | None = None
    objects: str = "product"
    min_object: Share | None = None
    min_overlap: Share | None = None
    blend: Blend = "product"
    erode: int = Field(default=3, ge=0, le=10)
    tolerance: float = Field(default=1.0, ge=0, le=255)
    label: Label = "logistic"
    logistic: tuple[Positive, float] | None = None
    _fitted: tuple[Product, str] | None = PrivateAttr(None)

    @field_validator("product")
    @classmethod
    def _check_product(cls, value: str) -> str:
        if value not in (*WORDS, *PRODUCTS):
            raise UnknownName("product of nsa", value, [*WORDS, *PRODUCTS])
        return value

    @field_validator("objects")
    @classmethod
    def _check_objects(cls, value: str) -> str:
        if value != "product":
            parse_rule(value)
        return value

    @property
    def uses_other_normals(self) -> bool:
        """With `source` normals."""
        return self.source == "normals"

    def fit(self, support: SupportSet) -> Self:
        """Note the support set; numbers that need fitting are fitted when first used. Returns self."""
        self._fitted = None
        return super().fit(support)

    def place(self, scene: Scene) -> Placed:
        """Put patches on the picture, or one patch under the mask that was asked for."""
        product, origin = self.product_of(scene.normal.product)
        ground, told = self._ground(scene, product)
        told = {**told, "product": origin, "parameters": product.told()}
        rng = scene.seed.numpy("patches")
        for attempt in range(1, ATTEMPTS + 1):
            plan = self._draw_plan(product, rng)
            patched = compose(ground, plan, rng) if scene.mask is None else compose_under(scene.mask, ground, plan, rng)
            label, soft = self._label(ground, patched, plan, scene.mask)
            if label.any():
                patches = [{"from": list(cut), "to": list(target)} for cut, target in patched.boxes]
                drawn = {**told, "gradients": plan.gradients, "strength": plan.strength, "patches": patches}
                image = paste(scene.image, patched.image, (0, 0, *scene.size[::-1]), label)
                return Placed(image, label, drawn, attempt, soft)
        return Placed(scene.image, np.zeros(scene.size, bool), told, ATTEMPTS)

    def product_of(self, name: str) -> tuple[Product, str]:
        """The numbers used for a product, those given as parameters among them, and where the others come from.

        Raises:
            NotFitted: they have to be fitted, and there is no support set.
        """
        row = self.product if self.product in PRODUCTS else name
        if row in PRODUCTS and self.product not in ("fit", "none"):
            found, origin = PRODUCTS[row], f"table: {row}"
        elif self.product == "none":
            found, origin = TEXTURE, "none"
        else:
            found, kind = self._fit_product()
            origin = f"fitted: {kind}"
        return replace(found, **self._given), origin

    @cached_property
    def _given(self) -> dict[str, Any]:
        """The numbers that are parameters, by their names in `Product`."""
        names = ("height", "width", "gamma", "patches", "resize", "min_object", "min_overlap", "logistic")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.objects != "product":
            given["objects"] = self.objects
        if self.blend in ("normal", "mixed"):
            given["gradients"] = self.blend
        return given

    def _fit_product(self) -> tuple[Product, str]:
        if self._support is None:
            raise NotFitted(self.name)
        if self._fitted is None:
            normals = self._support.normals
            chosen = [normals[k] for k in np.unique(np.linspace(0, len(normals) - 1, LOOKED_AT).astype(int))]
            pictures = {sample.id: _brought_down(sample.image()) for sample in chosen}
            self._fitted = fitted(list(pictures.values()), lambda product: self._changes_on(pictures, product))
        return self._fitted

    def _changes_on(self, pictures: dict[str, Image], product: Product) -> NDArray[np.float32]:
        """The smoothed changes inside the labels of some draws between neighbours, in levels."""
        product = replace(product, **self._given)
        rule, names, found = parse_rule(product.objects), list(pictures), [np.zeros(0, np.float32)]
        objects = {name: self._object(rule, picture, name) for name, picture in pictures.items()}
        for k in range(FIT_DRAWS):
            own, other = names[k % len(names)], names[(k + self.uses_other_normals) % len(names)]
            image = pictures[own]
            source = resize_image(pictures[other], (image.shape[0], image.shape[1]))
            ground = Ground(image, source, _pair(objects[other], objects[own], image.shape))
            rng = Seed(0, ("nsa", "fit", k)).numpy("patches")
            patched = compose(ground, replace(self._draw_plan(product, rng), strength=1.0), rng)
            if patched.patches.any():
                changes, label = changes_under(ground, patched, self.tolerance)
                found.append(intensity(changes, label, patched.places())[label])
        return np.concatenate(found)

    def _object(self, rule: ForegroundRule, image: Image, sample_id: str) -> Mask | None:
        return object_mask(rule, image, sample_id, self._support.dataset if self._support else "")

    def _ground(self, scene: Scene, product: Product) -> tuple[Ground, dict[str, Any]]:
        rule = parse_rule(product.objects)
        own = self._object(rule, scene.image, scene.normal.id)
        if self.source == "own":
            return Ground(scene.image, scene.image, _pair(own, own, scene.size), scene.foreground), {}
        source, name = self.other_normal(scene, scene.seed.numpy("pool"))
        objects = _pair(self._object(rule, source, name), own, scene.size)
        return Ground(scene.image, source, objects, scene.foreground), {"from": name}

    def _draw_plan(self, product: Product, rng: np.random.Generator) -> Plan:
        strength = float(rng.uniform(*FACTORS)) if self.label == "continuous" else 1.0
        gradients: Gradients = product.gradients
        if self.blend == "mix":
            gradients = "mixed" if rng.random() < 0.5 else "normal"
        elif self.blend == "uniform" or self.blend == "swap":
            gradients = self.blend
        return Plan(product, gradients, strength, self.size_draw, self.ellipses, self.skewed, self.erode)

    def _label(self, ground: Ground, patched: Patched, plan: Plan, asked: Mask | None) -> tuple[Mask, NDArray[np.float32]]:
        """The label and its soft values, looked at around the patches alone."""
        soft = np.zeros(ground.size, np.float32)
        if not patched.patches.any():
            return patched.patches, soft
        around = inside(patched.around)
        changes, label = changes_under(ground, patched, self.tolerance, GRAIN if asked is None else 1)
        for limit in (ground.foreground, asked):
            label = label if limit is None else label & limit[around]
        soft[around] = np.where(label, np.maximum(self._soft(changes, label, patched, plan), FAINTEST), 0)
        return framed(label, patched.around, ground.size), soft

    def _soft(self, changes: Changes, label: Mask, patched: Patched, plan: Plan) -> NDArray[np.float32] | float:
        if self.label == "binary":
            return 1.0
        if self.label == "continuous":
            return plan.strength
        levels = intensity(changes, label, patched.places())
        if self.label == "intensity":
            return levels / np.float32(255)
        k, x0 = plan.product.logistic
        return np.asarray(expit(np.float32(k) * (levels - np.float32(x0))), np.float32)


def _pair(source: Mask | None, image: Mask | None, shape: tuple[int, ...]) -> tuple[Mask, Mask] | None:
    """The object masks of source and image, both in the image's size; None where there is no rule."""
    if source is None or image is None:
        return None
    return resize_mask(source, (shape[0], shape[1])) if source.shape != image.shape else source, image


def _brought_down(image: Image) -> Image:
    """The picture with a smaller side of at most `FIT_SIDE`."""
    factor = min(1.0, FIT_SIDE / min(image.shape[:2]))
    return resize_image(image, (round(image.shape[0] * factor), round(image.shape[1] * factor)))
