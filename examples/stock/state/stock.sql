CREATE TABLE product (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  number TEXT NOT NULL UNIQUE,          -- such as FO-2044
  category TEXT NOT NULL,
  price REAL NOT NULL,
  quantity INTEGER NOT NULL,
  delivered TEXT NOT NULL DEFAULT '',   -- 2025-03-14
  email TEXT NOT NULL DEFAULT '',
  page TEXT NOT NULL DEFAULT '',
  fragile INTEGER NOT NULL DEFAULT 0,
  storage TEXT NOT NULL DEFAULT 'Dry'
);

INSERT INTO product (name, number, category, price, quantity, delivered, email, page, fragile, storage) VALUES
  ('Adhesive labels',  'OF-1003', 'Office', 3.20, 140, '2025-01-09', 'sales@papyra.example', '', 0, 'Dry'),
  ('Aprons',           'HO-3010', 'Household', 11.50, 24, '2024-11-20', '', '', 0, 'Dry'),
  ('Ballpoint pens',   'OF-1001', 'Office', 0.85, 600, '2025-02-03', 'sales@papyra.example', 'https://papyra.example/pens', 0, 'Dry'),
  ('Butter',           'FO-2002', 'Food', 2.79, 48, '2025-03-01', 'orders@meadow.example', '', 0, 'Cool'),
  ('Candles',          'HO-3004', 'Household', 4.10, 75, '2024-12-11', '', '', 0, 'Cool'),
  ('Chisels',          'TO-4002', 'Tools', 14.00, 18, '2024-10-30', 'office@ferrum.example', '', 0, 'Dry'),
  ('Copper wire',      'TO-4008', 'Tools', 17.25, 33, '2025-01-17', 'office@ferrum.example', '', 0, 'Dry'),
  ('Envelopes',        'OF-1006', 'Office', 5.40, 210, '2025-02-03', 'sales@papyra.example', '', 0, 'Dry'),
  ('Fax paper',        'OF-1009', 'Office', 6.95, 7, '2019-05-28', '', '', 0, 'Dry'),
  ('Flour',            'FO-2001', 'Food', 1.19, 320, '2025-02-24', 'orders@meadow.example', '', 0, 'Dry'),
  ('Garden peas',      'FO-2007', 'Food', 1.95, 90, '2025-02-24', 'orders@meadow.example', '', 0, 'Cool'),
  ('Hand drill',       'TO-4001', 'Tools', 39.90, 12, '2024-10-30', 'office@ferrum.example', 'https://ferrum.example/drill', 0, 'Dry'),
  ('Honey',            'FO-2005', 'Food', 7.60, 41, '2025-01-22', '', '', 1, 'Dry'),
  ('Paper towels',     'HO-3001', 'Household', 2.30, 180, '2025-01-30', 'sales@papyra.example', '', 0, 'Dry'),
  ('Pipe clamps',      'TO-4005', 'Tools', 8.75, 52, '2024-12-02', 'office@ferrum.example', '', 0, 'Dry'),
  ('Ring binders',     'OF-1004', 'Office', 2.95, 160, '2025-01-09', 'sales@papyra.example', '', 0, 'Dry'),
  ('Safety goggles',   'TO-4006', 'Tools', 9.30, 29, '2024-12-02', 'mail@claritas.example', '', 0, 'Dry'),
  ('Sealing tape',     'OF-1007', 'Office', 1.75, 385, '2025-02-03', 'sales@papyra.example', '', 0, 'Dry'),
  ('Spirit levels',    'TO-4003', 'Tools', 16.40, 21, '2024-10-30', 'office@ferrum.example', '', 1, 'Dry'),
  ('Sunflower oil',    'FO-2003', 'Food', 3.45, 66, '2025-03-01', 'orders@meadow.example', '', 0, 'Dry'),
  ('Tea',              'FO-2006', 'Food', 4.99, 120, '2025-01-22', '', '', 0, 'Dry'),
  ('Wine glasses',     'HO-3007', 'Household', 6.20, 64, '2024-11-20', '', '', 0, 'Dry');
