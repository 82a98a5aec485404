"""The statements of the relay's memory that are asked for every chunk, each one round trip: a relay runs after nearly every
transaction that says something, so what it costs is paid with every event. `~` stands for the service's schema.
"""

from __future__ import annotations

#: Where publishing goes on: after the last chunk of the present repair; in a window that has only begun, after its last row.
_LAST_CHUNK = """
  LEFT JOIN LATERAL (
    SELECT window_lo, window_hi, last_seq, complete FROM ~relay_batch WHERE repair = l.repair ORDER BY batch DESC LIMIT 1
  ) AS b ON true
"""

#: Renews the lease and reads the next chunk under it. No row: another leads. `ready` false: the window that begins here needs
#: looking at more closely (`Memory.next_chunk`), because it holds more than :most rows, or because events of one key crossed.
#: Rows and edge are of one snapshot: what is below its xmin is over, and everything that crossed it from above is visible in it.
NEXT_CHUNK = """
WITH l AS (
  UPDATE ~relay_lease SET lease_until_machine = clock_timestamp() + CAST(:ttl AS interval)
  WHERE epoch = :epoch AND holder = :me
  RETURNING epoch, repair, repair_from, incarnation, lasts
), at AS MATERIALIZED (
  SELECT l.*,
    coalesce(CASE WHEN b.complete THEN b.window_hi ELSE b.window_lo END, l.repair_from, 0) AS lo,
    CASE WHEN NOT b.complete THEN b.window_hi END AS begun,
    coalesce(CASE WHEN NOT b.complete THEN b.last_seq END, 0) AS after,
    CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS edge
  FROM l <last chunk>
), span AS MATERIALIZED (
  -- By the index on (txid, seq): ordering by seq alone may walk the whole table from its start.
  SELECT seq FROM ~outbox
  WHERE txid >= (SELECT CAST(CAST(lo AS text) AS xid8) FROM at)
    AND txid < (SELECT CAST(CAST(coalesce(begun, edge) AS text) AS xid8) FROM at)
  ORDER BY txid, seq LIMIT (SELECT CASE WHEN begun IS NULL THEN CAST(:most AS bigint) + 1 END FROM at)
), judged AS MATERIALIZED (
  SELECT at.*, begun IS NOT NULL OR ((SELECT count(*) FROM span) <= :most AND NOT EXISTS (
    SELECT FROM ~outbox p JOIN ~outbox o ON o.key = p.key AND o.seq > p.seq
    WHERE p.txid >= (SELECT CAST(CAST(edge AS text) AS xid8) FROM at)
      AND p.txid < (SELECT CAST(CAST(edge + :far AS text) AS xid8) FROM at)
      AND o.txid >= (SELECT CAST(CAST(lo AS text) AS xid8) FROM at)
      AND o.txid < (SELECT CAST(CAST(edge AS text) AS xid8) FROM at)
  )) AS ready
  FROM at
)
SELECT judged.*, o.seq, o.topic, o.key, o.headers, o.body
FROM judged LEFT JOIN LATERAL (
  SELECT outbox.seq, outbox.topic, outbox.key, outbox.headers, outbox.body FROM ~outbox JOIN span USING (seq)
  WHERE outbox.seq > judged.after ORDER BY outbox.seq LIMIT :chunk
) AS o ON judged.ready
ORDER BY o.seq
""".replace("<last chunk>", _LAST_CHUNK)

#: The one row of a published chunk, and the last offsets that are ours; nothing where another leads meanwhile.
REMEMBER = """
WITH held AS (
  UPDATE ~relay_lease SET lease_until_machine = clock_timestamp() + CAST(:ttl AS interval), lasts = :lasts
  WHERE epoch = :epoch AND holder = :me
  RETURNING epoch
)
INSERT INTO ~relay_batch (epoch, repair, window_lo, window_hi, last_seq, complete, offsets, rows)
SELECT epoch, :repair, :lo, :hi, :last_seq, :complete, :spans, :rows FROM held
"""

_STANDING = """
WITH at AS (
  SELECT l.lasts, l.repair_from,
    coalesce(CASE WHEN b.complete THEN b.window_hi ELSE b.window_lo END, l.repair_from, 0) AS lo,
    coalesce(b.window_hi, l.repair_from, 0) AS hi,
    CASE WHEN b.complete THEN NULL ELSE b.last_seq END AS after
  FROM (SELECT 1) AS one
  LEFT JOIN ~relay_lease AS l ON true <last chunk>
)
SELECT at.lasts, at.repair_from, (
  SELECT count(*) FROM ~outbox AS o
  WHERE o.txid >= CAST(CAST(at.lo AS text) AS xid8)
    AND (o.txid >= CAST(CAST(at.hi AS text) AS xid8) OR o.seq > coalesce(at.after, 9223372036854775807))
) AS waiting<more>
FROM at
""".replace("<last chunk>", _LAST_CHUNK)

#: What waits beyond the last chunk.
STANDING = _STANDING.replace("<more>", "")

#: The same, with due work (what is due at :now, the next instant), what is parked, and the next notice to ops.
ALL_THAT_WAITS = _STANDING.replace(
    "<more>",
    """,
  (SELECT count(*) FROM ~due_work WHERE state = 'waiting' AND due_at <= :now) AS due,
  (SELECT min(due_at) FROM ~due_work WHERE state = 'waiting') AS next_due,
  (SELECT count(*) FROM ~due_work WHERE state = 'parked')
    + (SELECT count(*) FROM ~parked WHERE state IN ('parked', 'behind')) AS parked,
  (SELECT min(next_at) FROM ~ops_notice WHERE state = 'waiting') AS next_notice""",
)
