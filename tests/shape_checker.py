# SPDX-License-Identifier: Apache-2.0
"""The type checker behind the shape annotations: as beartype, but an int will do where a float is asked for."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
