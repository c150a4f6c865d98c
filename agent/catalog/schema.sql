CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE TABLE drives (
    drive_id text primary key, label text not null, institution text not null, path text not null, created text not null,
    public_key text not null default '', seen_at text not null, state text not null default 'attached',
    handed_over_at text, handed_over_to text, last_head text, stopped_at text, stopped_reason text
);
CREATE TABLE segments (
    id integer primary key, drive_id text not null, path text not null, temporary text not null,
    state text not null check (state in ('open', 'finished')),
    class_id text not null, date text not null, session text not null, room_id text not null, camera_id text not null,
    start text not null, end text, bytes integer, sha256 text,
    video_codec text not null default '', width integer not null default 0, height integer not null default 0,
    audio_codec text, trust text not null default 'unknown', sender_time text, serial text not null default '', unchecked_since text, statement text not null default '', stated integer not null default 1,
    unique (drive_id, path)
);
CREATE INDEX segments_by_class on segments (class_id, date, session, camera_id, start);
CREATE INDEX segments_by_camera on segments (camera_id, start);
CREATE INDEX segments_open on segments (state) where state = 'open';
CREATE TABLE looks (
    id integer primary key, camera_id text not null, room_id text not null, class_id text not null,
    date text not null, session text not null, at text not null,
    people integer not null, low integer not null, high integer not null, judged integer not null, reason text,
    boxes text not null, width integer not null, height integer not null, quality text not null, detector text not null, sightings text, withdrawn text, batch integer,
    unique (camera_id, at)
);
CREATE INDEX looks_by_class on looks (class_id, date, session, room_id, at);
CREATE TABLE cameras (
    camera_id text primary key, endpoint text not null, address text not null, manufacturer text not null,
    model text not null, firmware text not null, serial text not null, hardware_id text not null,
    verdict text not null, reasons text not null, streams text not null, clock_offset_s real, up integer not null,
    seen_at text not null, asked_at text, recorded_until text
, url text not null default '', accepted text not null default '', judged text not null default 'unreachable', successor text not null default '', checked_at text, connected_at text, signs integer not null default 0);
CREATE TABLE classes (class_id text primary key, body text not null, source text not null, imported_at text not null);
CREATE TABLE attendance (
    class_id text not null, date text not null, session text not null, revision integer not null, status text not null,
    body text not null, updated_at text not null, primary key (class_id, date, session)
);
CREATE TABLE alerts (
    alert_id text primary key, kind text not null, subject text not null, state text not null, severity text not null,
    since text not null, at text not null, message text not null, class_id text, date text, session text, camera_id text,
    evidence text not null, updates integer not null default 0
, first_message text);
CREATE INDEX alerts_open on alerts (kind, subject) where state != 'cleared';
CREATE TABLE events (
    id integer primary key, at text not null, kind text not null, camera_id text, drive_id text, until text,
    detail text not null
);
CREATE INDEX events_by_time on events (at);
CREATE TABLE outbox (
    seq integer primary key autoincrement, event_id text not null unique, topic text not null, type text not null,
    data text not null, retained integer not null, created_at text not null, expires_at text
);
CREATE TABLE retained (
    topic text primary key, event_id text not null, type text not null, data text not null, created_at text not null
);
CREATE TABLE chain (
    class_id text not null, date text not null, session text not null, sequence integer not null, drive_id text not null,
    head text not null, public_key text not null, closed_at text not null, primary key (class_id, date, session)
);
CREATE TABLE audit (
    id integer primary key, at text not null, who text not null, action text not null, object text not null,
    detail text not null, previous text not null, hash text not null
);
CREATE TABLE facts (name text primary key, value text not null);
CREATE TABLE changes (seq integer primary key autoincrement, name text not null, row integer not null);
CREATE TRIGGER drives_insert after insert on drives begin insert into changes (name, row) values ('drives', new.rowid); end;
CREATE TRIGGER drives_update after update on drives begin insert into changes (name, row) values ('drives', new.rowid); end;
CREATE TRIGGER classes_insert after insert on classes begin insert into changes (name, row) values ('classes', new.rowid); end;
CREATE TRIGGER classes_update after update on classes begin insert into changes (name, row) values ('classes', new.rowid); end;
CREATE TRIGGER segments_insert after insert on segments begin insert into changes (name, row) values ('segments', new.rowid); end;
CREATE TRIGGER segments_update after update on segments begin insert into changes (name, row) values ('segments', new.rowid); end;
CREATE TRIGGER looks_insert after insert on looks begin insert into changes (name, row) values ('looks', new.rowid); end;
CREATE TRIGGER looks_update after update on looks begin insert into changes (name, row) values ('looks', new.rowid); end;
CREATE TRIGGER attendance_insert after insert on attendance begin insert into changes (name, row) values ('attendance', new.rowid); end;
CREATE TRIGGER attendance_update after update on attendance begin insert into changes (name, row) values ('attendance', new.rowid); end;
CREATE TRIGGER alerts_insert after insert on alerts begin insert into changes (name, row) values ('alerts', new.rowid); end;
CREATE TRIGGER alerts_update after update on alerts begin insert into changes (name, row) values ('alerts', new.rowid); end;
CREATE TRIGGER events_insert after insert on events begin insert into changes (name, row) values ('events', new.rowid); end;
CREATE TRIGGER events_update after update on events begin insert into changes (name, row) values ('events', new.rowid); end;
CREATE TRIGGER chain_insert after insert on chain begin insert into changes (name, row) values ('chain', new.rowid); end;
CREATE TRIGGER chain_update after update on chain begin insert into changes (name, row) values ('chain', new.rowid); end;
CREATE TRIGGER audit_insert after insert on audit begin insert into changes (name, row) values ('audit', new.rowid); end;
CREATE TRIGGER audit_update after update on audit begin insert into changes (name, row) values ('audit', new.rowid); end;
CREATE TRIGGER audit_no_update before update on audit begin select raise(abort, 'the audit is append-only'); end;
CREATE TRIGGER audit_no_delete before delete on audit begin select raise(abort, 'the audit is append-only'); end;
CREATE TABLE accounts (name text primary key, role text not null, password text not null, created_at text not null, created_by text not null default '', used_at text, disabled_at text, must_change integer not null default 1);
CREATE TABLE sessions (token_hash text primary key, name text not null, csrf text not null, expires_at text not null, seen_at text not null);
CREATE TABLE tokens (token_hash text primary key, name text not null unique, role text not null, created_at text not null, expires_at text not null, created_by text not null default '', used_at text);
CREATE INDEX audit_by_object on audit (object, id);
CREATE INDEX alerts_by_class on alerts (class_id, since);
CREATE TABLE deliveries (id integer primary key, who text not null, class_id text not null, camera_id text not null, film text not null, ranges text not null, spans text not null, told text not null, begun_at text not null, at text not null, unique (who, class_id, camera_id, film));
CREATE TABLE origins (name text not null, origin text not null, at text not null, primary key (name, origin));
CREATE TABLE places (id integer primary key, camera_id text not null, place integer not null, start text not null, end text, found_at text not null, corners text not null, appearance text not null, verdict text not null default '', verdict_by text not null default '', verdict_at text, found_by text not null default '', unique (camera_id, place, start));
CREATE TRIGGER places_insert after insert on places begin insert into changes (name, row) values ('places', new.rowid); end;
CREATE TRIGGER places_update after update on places begin insert into changes (name, row) values ('places', new.rowid); end;
CREATE TABLE statements (
    id integer primary key autoincrement, log text not null, number integer not null, previous text not null,
    hash text not null, event_id text not null unique, subject text not null, type text not null, time text not null,
    data text not null, class_id text, date text, session text, told integer not null default 0,
    made_at text not null, unique (log, number)
);
CREATE INDEX statements_by_class on statements (class_id, date, session);
CREATE INDEX statements_by_subject on statements (subject, type, id);
CREATE INDEX statements_untold on statements (log, number) where told = 0;
CREATE TRIGGER statements_insert after insert on statements begin
    insert into changes (name, row) values ('statements', new.rowid); end;
CREATE INDEX changes_by_row on changes (name, row);
CREATE TABLE logs (
    log text primary key, cause text not null, number integer not null, hash text not null, batch integer not null,
    current integer not null, began_at text not null
);
CREATE INDEX looks_by_batch on looks (batch) where batch is not null;
CREATE TABLE witnesses (
    class_id text not null, sequence integer not null, head text not null, at text not null, body text not null,
    signature text not null, drive_id text not null default '', primary key (class_id, sequence)
);
CREATE INDEX segments_unstated on segments (id) where stated = 0;
CREATE TABLE sign_ins (class_id text not null, date text not null, session text not null, signed_in integer, signed_out integer, source text not null, entered_by text not null, at text not null, primary key (class_id, date, session));
CREATE TRIGGER sign_ins_insert after insert on sign_ins begin insert into changes (name, row) values ('sign_ins', new.rowid); end;
CREATE TRIGGER sign_ins_update after update on sign_ins begin insert into changes (name, row) values ('sign_ins', new.rowid); end;
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm001_first', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm002_changes', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm003_audit_only_grows', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm004_accounts', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm005_tokens', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm006_identity', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm007_accounts_kept', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm008_first_message', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm009_deliveries', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm010_origins', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm011_signing_cameras', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm012_places', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm013_statements', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm014_segment_batches', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm015_sign_ins', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
insert into _sqlite_migrations (migration_set, name, applied_at) values ('site-agent', 'm016_declared_things', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'))
