"""The database schema and its migrations.

Times are `clocks.stamp` texts (UTC, fixed width), so text order is time order. The database records migrations by function
name: never rename, edit or reorder a released one. After a new one, `scripts/schema` writes `schema.sql`, from which new
catalogs are made.
"""

from __future__ import annotations

import sqlite3

from agent.catalog.sqlite_library import Database, Migrations

migrations = Migrations("site-agent")


def apply_pending(connection: sqlite3.Connection) -> None:
    """Apply the migrations that the catalog lacks."""
    # plugins of sqlite-utils, which anybody may have installed, have no business in the evidence
    migrations.apply(Database(connection, execute_plugins=False))


@migrations()
def m001_first(db: Database) -> None:
    """Create the tables of the first release."""
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            db.execute(statement)


# executed one statement at a time: executescript would commit the migration's transaction half-way
_FIRST = """
create table drives (
    drive_id text primary key, label text not null, institution text not null, path text not null, created text not null,
    public_key text not null default '', seen_at text not null, state text not null default 'attached',
    handed_over_at text, handed_over_to text, last_head text, stopped_at text, stopped_reason text
);
create table segments (
    id integer primary key, drive_id text not null, path text not null, temporary text not null,
    state text not null check (state in ('open', 'finished')),
    class_id text not null, date text not null, session text not null, room_id text not null, camera_id text not null,
    start text not null, end text, bytes integer, sha256 text,
    video_codec text not null default '', width integer not null default 0, height integer not null default 0,
    audio_codec text, trust text not null default 'unknown', sender_time text,
    unique (drive_id, path)
);
create index segments_by_class on segments (class_id, date, session, camera_id, start);
create index segments_by_camera on segments (camera_id, start);
create index segments_open on segments (state) where state = 'open';
create table looks (
    id integer primary key, camera_id text not null, room_id text not null, class_id text not null,
    date text not null, session text not null, at text not null,
    people integer not null, low integer not null, high integer not null, judged integer not null, reason text,
    boxes text not null, width integer not null, height integer not null, quality text not null, detector text not null,
    unique (camera_id, at)
);
create index looks_by_class on looks (class_id, date, session, room_id, at);
create table cameras (
    camera_id text primary key, endpoint text not null, address text not null, manufacturer text not null,
    model text not null, firmware text not null, serial text not null, hardware_id text not null,
    verdict text not null, reasons text not null, streams text not null, clock_offset_s real, up integer not null,
    seen_at text not null, asked_at text, recorded_until text
);
create table classes (class_id text primary key, body text not null, source text not null, imported_at text not null);
create table attendance (
    class_id text not null, date text not null, session text not null, revision integer not null, status text not null,
    body text not null, updated_at text not null, primary key (class_id, date, session)
);
create table alerts (
    alert_id text primary key, kind text not null, subject text not null, state text not null, severity text not null,
    since text not null, at text not null, message text not null, class_id text, date text, session text, camera_id text,
    evidence text not null, updates integer not null default 0
);
create index alerts_open on alerts (kind, subject) where state != 'cleared';
create table events (
    id integer primary key, at text not null, kind text not null, camera_id text, drive_id text, until text,
    detail text not null
);
create index events_by_time on events (at);
create table outbox (
    seq integer primary key autoincrement, event_id text not null unique, topic text not null, type text not null,
    data text not null, retained integer not null, created_at text not null, expires_at text
);
create table retained (
    topic text primary key, event_id text not null, type text not null, data text not null, created_at text not null
);
create table chain (
    class_id text not null, date text not null, session text not null, sequence integer not null, drive_id text not null,
    head text not null, public_key text not null, closed_at text not null, primary key (class_id, date, session)
);
create table audit (
    id integer primary key, at text not null, who text not null, action text not null, object text not null,
    detail text not null, previous text not null, hash text not null
);
create table facts (name text primary key, value text not null)
"""


@migrations()
def m002_changes(db: Database) -> None:
    """Add a log of changed rows, written by triggers, for the drive's journal (`drive rebuild`, docs/reference/storage.md)."""
    db.execute("create table changes (seq integer primary key autoincrement, name text not null, row integer not null)")
    for table in _JOURNALED_FIRST:
        for action in ("insert", "update"):
            into = f"insert into changes (name, row) values ('{table}', new.rowid)"  # noqa: S608 - own table names
            db.execute(f"create trigger {table}_{action} after {action} on {table} begin {into}; end")


_JOURNALED_FIRST = ("drives", "classes", "segments", "looks", "attendance", "alerts", "events", "chain", "audit")


@migrations()
def m003_audit_only_grows(db: Database) -> None:
    """Make the audit append-only by triggers; bypassing them breaks its hash chain."""
    for action in ("update", "delete"):
        db.execute(
            f"create trigger audit_no_{action} before {action} on audit begin"
            " select raise(abort, 'the audit is append-only'); end"
        )


@migrations()
def m004_accounts(db: Database) -> None:
    """Add accounts of the page and login sessions; of a session's token only the hash is stored."""
    db.execute(
        "create table accounts (name text primary key, role text not null, password text not null, created_at text not null)"
    )
    db.execute(
        "create table sessions (token_hash text primary key, name text not null, csrf text not null,"
        " expires_at text not null, seen_at text not null)"
    )


@migrations()
def m005_tokens(db: Database) -> None:
    """Add API tokens of the bureau's programs, and indexes for the pages of a large box."""
    db.execute(
        "create table tokens (token_hash text primary key, name text not null unique, role text not null,"
        " created_at text not null, expires_at text not null)"
    )
    db.execute("create index audit_by_object on audit (object, id)")
    db.execute("create index alerts_by_class on alerts (class_id, since)")


@migrations()
def m006_identity(db: Database) -> None:
    """Add the identity of the unit behind a camera ID, when it was last read, and which unit was recorded."""
    for column in (
        "url text not null default ''",
        "accepted text not null default ''",
        "judged text not null default 'unreachable'",
        "successor text not null default ''",
        "checked_at text",
        "connected_at text",
    ):
        db.execute(f"alter table cameras add column {column}")
    db.execute("update cameras set judged = verdict")
    db.execute("update cameras set accepted = case when serial != '' then serial else hardware_id end")
    db.execute("alter table segments add column serial text not null default ''")
    db.execute("alter table segments add column unchecked_since text")


@migrations()
def m007_accounts_kept(db: Database) -> None:
    """Add who created an account, its last use, whether it is disabled, and whether its password must be changed.

    Passwords of accounts from earlier versions were shown on a screen, so their users must set new ones too.
    """
    for column in (
        "created_by text not null default ''",
        "used_at text",
        "disabled_at text",
        "must_change integer not null default 1",
    ):
        db.execute(f"alter table accounts add column {column}")
    for column in ("created_by text not null default ''", "used_at text"):
        db.execute(f"alter table tokens add column {column}")


@migrations()
def m008_first_message(db: Database) -> None:
    """Add an alert's first message: the cause, which later messages must not replace.

    It is null in older rows, for which only the last message was stored.
    """
    db.execute("alter table alerts add column first_message text")


@migrations()
def m009_deliveries(db: Database) -> None:
    """Add video ranges sent to users and not yet in the audit; this table is not journaled to drives."""
    db.execute(
        "create table deliveries (id integer primary key, who text not null, class_id text not null, camera_id text not null,"
        " film text not null, ranges text not null, spans text not null, told text not null, begun_at text not null,"
        " at text not null, unique (who, class_id, camera_id, film))"
    )


@migrations()
def m010_origins(db: Database) -> None:
    """Add the addresses each account has logged in from, so that its owner can log in while strangers guess passwords."""
    db.execute(
        "create table origins (name text not null, origin text not null, at text not null, primary key (name, origin))"
    )


@migrations()
def m011_signing_cameras(db: Database) -> None:
    """Add whether the unit behind a camera ID has sent signed pictures."""
    db.execute("alter table cameras add column signs integer not null default 0")


@migrations()
def m012_places(db: Database) -> None:
    """Add the things that stay in places of a camera's picture, and for each look which candidate was in which place.

    `end` is null as long as the thing stays. Looks of earlier versions have no sightings.
    `looks.withdrawn`: a reason found later for which a judged look does not count.
    """
    db.execute("alter table looks add column sightings text")
    db.execute("alter table looks add column withdrawn text")
    db.execute(
        "create table places (id integer primary key, camera_id text not null, place integer not null, start text not null,"
        " end text, found_at text not null, corners text not null, appearance text not null, verdict text not null default '',"
        " verdict_by text not null default '', verdict_at text, unique (camera_id, place, start))"
    )
    for action in ("insert", "update"):
        into = "insert into changes (name, row) values ('places', new.rowid)"
        db.execute(f"create trigger places_{action} after {action} on places begin {into}; end")


@migrations()
def m013_statements(db: Database) -> None:
    """Add the statement log, which statement covers a segment, batches of looks, and countersignatures.

    `statements.told`: the broker has acknowledged it; the column is not journaled, as only inserts are.
    `logs.batch`: the newest batch of looks that was stated; a look belongs to the batch after it.
    """
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m014_segment_batches(db: Database) -> None:
    """Add whether a finished segment was stated; rows of earlier versions are not stated any more."""
    db.execute("alter table segments add column stated integer not null default 1")
    db.execute("create index segments_unstated on segments (id) where stated = 0")


_STATEMENTS = """
create table statements (
    id integer primary key autoincrement, log text not null, number integer not null, previous text not null,
    hash text not null, event_id text not null unique, subject text not null, type text not null, time text not null,
    data text not null, class_id text, date text, session text, told integer not null default 0,
    made_at text not null, unique (log, number)
);
create index statements_by_class on statements (class_id, date, session);
create index statements_by_subject on statements (subject, type, id);
create index statements_untold on statements (log, number) where told = 0;
create trigger statements_insert after insert on statements begin
    insert into changes (name, row) values ('statements', new.rowid); end;
create index changes_by_row on changes (name, row);
create table logs (
    log text primary key, cause text not null, number integer not null, hash text not null, batch integer not null,
    current integer not null, began_at text not null
);
alter table segments add column statement text not null default '';
alter table looks add column batch integer;
create index looks_by_batch on looks (batch) where batch is not null;
create table witnesses (
    class_id text not null, sequence integer not null, head text not null, at text not null, body text not null,
    signature text not null, drive_id text not null default '', primary key (class_id, sequence)
)
"""


@migrations()
def m015_sign_ins(db: Database) -> None:
    """Add counts of sign-ins and sign-outs by half-day, as the institution states them; no names."""
    db.execute(
        "create table sign_ins (class_id text not null, date text not null, session text not null, signed_in integer,"
        " signed_out integer, source text not null, entered_by text not null, at text not null,"
        " primary key (class_id, date, session))"
    )
    for action in ("insert", "update"):
        into = "insert into changes (name, row) values ('sign_ins', new.rowid)"
        db.execute(f"create trigger sign_ins_{action} after {action} on sign_ins begin {into}; end")


@migrations()
def m016_declared_things(db: Database) -> None:
    """Add who declared a thing that the agent had not found."""
    db.execute("alter table places add column found_by text not null default ''")
