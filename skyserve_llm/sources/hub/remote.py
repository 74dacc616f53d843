"""A repository on the Hugging Face Hub: the one door to huggingface_hub.

``HF_TOKEN``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and ``HF_HOME`` mean what they mean everywhere
(https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables). Small files
go through huggingface_hub's own cache; of weights only the headers are asked for.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub import (
    HfApi,
    get_session,
    get_token,
    hf_hub_url,
    hf_raise_for_status,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    SafetensorsParsingError,
)
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.folder import read_json
from skyserve_llm.sources.hub.safetensors import tensor
from skyserve_llm.sources.model.tensors import Tensor

DEFAULT_ENDPOINT = "https://huggingface.co"
PARALLEL_REQUESTS = 8
TIMEOUT_S = 10.0

# The transport's own error, whichever HTTP library the installed huggingface_hub is built on.
_TransportError: type[Exception] = HfHubHTTPError.__mro__[1]


class UnreachableError(InputError):
    """The Hub could not be asked: no network, or offline by wish, or it is out of order."""


class HubRepository:
    """One model repository, at the commit that ``revision`` named when it was first asked."""

    def __init__(
        self,
        model_id: str,
        *,
        revision: str | None = None,
        endpoint: str | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = model_id
        self._revision = revision
        self._endpoint = endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
        self._token = get_token()
        self._api = HfApi(endpoint=self._endpoint, token=self._token or False)
        self._progress = progress

    @property
    def commit(self) -> str:
        """The commit that every file is read at."""
        return self._info.sha or self._revision or "main"

    def files(self) -> list[str]:
        return [sibling.rfilename for sibling in self._info.siblings or ()]

    def json(self, path: str) -> dict[str, Any]:
        with self._errors(path):
            local = self._api.hf_hub_download(self.name, path, revision=self.commit)
        return read_json(Path(local))

    def read(self, path: str, start: int, stop: int) -> bytes:
        url = hf_hub_url(self.name, path, revision=self.commit, endpoint=self._endpoint)
        headers = build_hf_headers(token=self._token or False)
        headers["range"] = f"bytes={start}-{stop - 1}"
        with self._errors(path):
            response = get_session().get(url, headers=headers, timeout=TIMEOUT_S)
            hf_raise_for_status(response)
            # A server that knows no ranges sends the whole file.
            whole = response.status_code == 200
            content: bytes = response.content
        return content[start:stop] if whole else content

    def safetensors(self, paths: list[str]) -> list[Tensor]:
        self._progress(f"reading the headers of {len(paths)} weight files of {self.name}")
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            return [found for tensors in pool.map(self._header, paths) for found in tensors]

    def _header(self, path: str) -> list[Tensor]:
        with self._errors(path):
            parsed = self._api.parse_safetensors_file_metadata(
                self.name, path, revision=self.commit
            )
        return [
            tensor(path, name, {"dtype": t.dtype, "shape": t.shape, "data_offsets": t.data_offsets})
            for name, t in parsed.tensors.items()
        ]

    @cached_property
    def _info(self) -> ModelInfo:
        with self._errors():
            return self._api.model_info(self.name, revision=self._revision, timeout=TIMEOUT_S)

    @contextmanager
    def _errors(self, path: str | None = None) -> Iterator[None]:
        """Turn what can go wrong on the way into one clear line each."""
        try:
            yield
        except HFValidationError as error:
            raise InputError(
                f"'{self.name}' is no model's id", hint="an id on the Hub is owner/name"
            ) from error
        except (GatedRepoError, RepositoryNotFoundError) as error:
            raise self._no_access(error) from error
        except RevisionNotFoundError as error:
            raise InputError(
                f"{self.name} has no revision '{self._revision}'",
                hint=f"a branch, tag or commit: {self._endpoint}/{self.name}/commits",
            ) from error
        except EntryNotFoundError as error:
            raise InputError(
                f"{self.name} has no file {path}", hint=f"{self._endpoint}/{self.name}/tree/main"
            ) from error
        except SafetensorsParsingError as error:
            raise InputError(f"{path} of {self.name} is no safetensors file") from error
        except HfHubHTTPError as error:
            raise self._refused(error) from error
        except OfflineModeIsEnabled as error:
            raise UnreachableError(
                f"HF_HUB_OFFLINE is set, and nothing is known yet of {self.name}",
                hint="unset it once, or name a folder or a bundled model",
            ) from error
        except (_TransportError, OSError) as error:
            raise UnreachableError(
                f"cannot reach {self._endpoint} for {self.name}: {_reason(error)}",
                hint="check the network and HF_ENDPOINT, or name a folder or a bundled model",
            ) from error

    def _no_access(self, error: HfHubHTTPError) -> InputError:
        """401, 403 and 404 of a repository: gated, not ours to see, or not there."""
        page = f"{self._endpoint}/{self.name}"
        if isinstance(error, GatedRepoError):
            if self._token:
                return InputError(
                    f"{self.name} is gated, and the account of HF_TOKEN has no access to it",
                    hint=f"ask for access at {page}",
                )
            return InputError(
                f"{self.name} is gated: its licence must be accepted first",
                hint=f"accept it at {page} and set HF_TOKEN to a token of that account",
            )
        if self._token:
            return InputError(
                f"no model '{self.name}' that HF_TOKEN may see is on the Hub",
                hint="check its name; if it is private, the token must be allowed to read it",
            )
        return InputError(
            f"no model '{self.name}' is on the Hub, or it is private",
            hint="check its name; for a private one set HF_TOKEN",
        )

    def _refused(self, error: HfHubHTTPError) -> InputError:
        """Every other answer that is none."""
        status = error.response.status_code
        if status == 401 and not self._token:  # what the Hub says of what is not there, too
            return self._no_access(error)
        if status == 401:
            return InputError(
                "the Hub does not accept HF_TOKEN: it is wrong or has expired",
                hint="make a new one at https://huggingface.co/settings/tokens, or unset it",
            )
        if status == 403:
            return InputError(
                f"HF_TOKEN may not read {self.name}",
                hint="give the token read access to it, at https://huggingface.co/settings/tokens",
            )
        if status == 429:
            wait = error.response.headers.get("Retry-After")
            return UnreachableError(
                "the Hub answers no more of our requests for now"
                + (f", for another {wait} s" if wait else ""),
                hint="wait, or set HF_TOKEN: an account may ask more often",
            )
        return UnreachableError(
            f"the Hub answers {status} for {self.name}", hint="try again in a minute"
        )


def snapshot_folder(model_id: str, revision: str | None) -> Path | None:
    """Where huggingface_hub keeps a download of the model; None where it has none."""
    try:
        found = try_to_load_from_cache(model_id, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _reason(error: Exception) -> str:
    """The first line of what the transport says, or its name where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
