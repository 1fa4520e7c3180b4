"""The vendor's words, limits and prices.

Sources (read 2026-11-22): the endpoint's page https://aluo.ai/docs/api/photo-editor for all that is
asked and answered; https://aluo.ai/docs/api/overview for the address, codes and rate limits;
https://aluo.ai/docs/api/authentication for the key.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

#: Where the API lives when the connection names no host. An older page of the vendor's
#: (https://aluo.ai/en/document-api) names https://aluo.ai/api, so it is a setting.
DEFAULT_BASE_URL: Final = "https://api.aluo.ai/api"
GENERATE_PATH: Final = "/photo-editor/generate"
STATUS_PATH: Final = "/photo-editor/status"

#: What every key begins with.
API_KEY_PREFIX: Final = "sk-"

AspectRatio = Literal["1:1", "3:2", "2:3", "16:9", "9:16", "4:3", "3:4", "4:5", "5:4", "21:9"]
OutputFormat = Literal["png", "jpeg", "webp"]
Plan = Literal["free", "pro", "max"]

ASPECT_RATIOS: Final[tuple[str, ...]] = get_args(AspectRatio)
OUTPUT_FORMATS: Final[tuple[str, ...]] = get_args(OutputFormat)
PLANS: Final[tuple[str, ...]] = get_args(Plan)

#: What the vendor uses when nothing is asked.
DEFAULT_OUTPUT_FORMAT: Final = "png"
DEFAULT_NUM_IMAGES: Final = 1

#: Reference images per request.
MIN_REFERENCE_IMAGES: Final = 1
MAX_REFERENCE_IMAGES: Final = 5

#: The only two status words that the vendor documents. Every other word means: still running.
STATUS_SUCCESS: Final = "SUCCESS"
STATUS_FAILED: Final = "FAILED"

#: The envelope's ``code``. They come with the HTTP statuses 200, 400 or 500, 401, 402 and 500.
CODE_OK: Final = 0
CODE_BUSINESS: Final = -1
CODE_UNAUTHORIZED: Final = -2
CODE_OUT_OF_CREDITS: Final = 402
CODE_SERVER: Final = 500

#: "Usually 10-30 seconds", in seconds.
USUAL_SECONDS: Final = (10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Tier:
    """What a plan allows and what it pays."""

    #: Credits that one edit costs.
    credits_per_edit: int
    #: Requests that the account may send in a minute.
    requests_per_minute: int


#: The endpoint's page gives a price for free and PRO only; MAX is taken to pay what PRO pays.
TIERS: Final[dict[Plan, Tier]] = {
    "free": Tier(credits_per_edit=40, requests_per_minute=10),
    "pro": Tier(credits_per_edit=35, requests_per_minute=100),
    "max": Tier(credits_per_edit=35, requests_per_minute=1000),
}
