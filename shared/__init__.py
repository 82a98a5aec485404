"""What every service uses and no service owns. Knows no medicine.

Importing it pins the zones' rules: every `ZoneInfo` of the process comes from the locked `tzdata` package, never from the
machine's own files, which may be older (DESIGN.md rule 8).
"""

import zoneinfo

zoneinfo.reset_tzpath(to=())
