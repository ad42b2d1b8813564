CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE tag (note INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, name TEXT NOT NULL, PRIMARY KEY (note, name));

INSERT INTO note (id, title, text) VALUES
  (1, 'Wi-Fi password', 'The guests'' network is called attic. Password: quiet-heron-12'),
  (2, 'Dentist', 'Appointment on 3 June 2025 at 9:40, Harbour Street 8.'),
  (3, 'Lemon cake', '200 g butter, 200 g sugar, 4 eggs, 250 g flour, 2 lemons. Bake for 50 minutes.'),
  (4, 'Bicycle', 'The lock opens with 7391. Tyres take 4 bar. The workshop has the spare key.'),
  (5, 'Gift ideas', 'Anna: a book on moths. Father: the good secateurs.'),
  (6, 'Trip to Bergen', 'Ferry leaves at 18:15 from pier 4. Hotel booking 55-8812.'),
  (7, 'Packing list', 'Raincoats, thermos, torch, the small tent.'),
  (8, 'Tax return', 'Receipts are in the blue folder. Due on 31 July 2025.'),
  (9, 'Shopping', 'Milk, rye bread, butter, lamp oil.'),
  (10, 'Plumber', 'Mr Okafor, 555 0143. Came last in February 2025 for the kitchen tap.'),
  (11, 'Night train', 'Carriage 22, berths 31 and 32, on 12 August 2025.');

INSERT INTO tag (note, name) VALUES
  (1, 'home'), (2, 'health'), (3, 'recipes'), (4, 'home'), (6, 'travel'), (7, 'travel'), (8, 'urgent'), (10, 'home'), (11, 'travel');
