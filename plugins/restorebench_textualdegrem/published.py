"""What the published script samples guidance with, and where its parts come from."""

from __future__ import annotations

STEPS = 100
SCALE = 5.0
"""How far the noise is led from what an empty prompt gives to what the prompt gives, and beyond."""

STABLE_DIFFUSION = (
    "https://huggingface.co/stabilityai/stable-diffusion-2-1-base (licence CreativeML Open RAIL++-M)"
)
CLIP = "https://huggingface.co/laion/CLIP-ViT-H-14-laion2B-s32B-b79K (licence MIT)"
