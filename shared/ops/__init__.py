"""The ops channel: says what a person must repair, by a way that does not depend on Twilio.

A notice is a row, written in the transaction of what it reports (`ops_say`). The pass "ops" (`OpsPass`) delivers it by every
channel that is set, a webhook, e-mail or both; with none, it is an error in the log. Either way /readyz counts what waits.
"""

from shared.ops.notice import ops_say
from shared.ops.work import OpsPass

__all__ = ["OpsPass", "ops_say"]
