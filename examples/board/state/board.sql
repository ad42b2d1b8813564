CREATE TABLE card (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  "column" TEXT NOT NULL DEFAULT 'To do',   -- To do, Doing or Done
  owner TEXT NOT NULL DEFAULT '',
  blocked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL);

INSERT INTO card (id, title, description, "column", owner, blocked) VALUES
  (1, 'Print the posters', 'A2, 60 copies, at the print shop by the bridge.', 'Doing', 'Mira', 0),
  (2, 'Hall contract', 'The council sends it in the first week of May 2025.', 'To do', 'Jonas', 0),
  (3, 'Rent chairs', '120 chairs and 20 tables.', 'To do', '', 0),
  (4, 'Sound check', 'Friday at four, before the doors open.', 'To do', 'Tomas', 0),
  (5, 'Fax the programme', 'Nobody has a fax any more.', 'To do', '', 0),
  (6, 'Stage lights', 'Eight spots, two of them blue.', 'Doing', 'Ingrid', 1),
  (7, 'Build the stage', 'Plywood is in the barn.', 'Doing', 'Jonas', 0),
  (8, 'Apply for the grant', 'Sent on 3 February 2025.', 'Done', 'Mira', 0),
  (9, 'Invite the choir', 'They come with 24 singers.', 'Done', 'Ingrid', 0),
  (10, 'Tickets', 'Online from April, the rest at the door.', 'To do', 'Mira', 1);
INSERT INTO setting VALUES ('reminders', 0);
