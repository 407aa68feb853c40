"""What generated pictures are worth beside real ones, before any detector is trained on them.

FID, KID and Inception Score look at sets, SSIM, PSNR, VIF and LPIPS at pairs, IC-LPIPS at how different the generated pictures
are that resemble one real picture (metrics' specification, section 7). Each is measured per kind of defect; means are over kinds,
then over products. Every value carries its record; a value from other weights than those that define a metric has a suffix on its
name.
"""

from flawsmith.inspection.quality.measuring import Quality, TypeQuality, measure_quality
from flawsmith.inspection.quality.rules import PAIRINGS, QUALITY_METRICS, Rules

__all__ = ["PAIRINGS", "QUALITY_METRICS", "Quality", "Rules", "TypeQuality", "measure_quality"]
