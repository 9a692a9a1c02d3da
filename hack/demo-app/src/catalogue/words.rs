//! The vocabulary of generated products.

pub(super) const ADJECTIVES: [&str; 24] = [
    "Agile", "Bright", "Calm", "Classic", "Compact", "Crisp", "Daring", "Elegant", "Fine", "Gentle", "Grand",
    "Handy", "Honest", "Humble", "Lively", "Modern", "Noble", "Plain", "Quiet", "Robust", "Sleek", "Sturdy",
    "Vivid", "Warm",
];

pub(super) const MATERIALS: [&str; 20] = [
    "Pewter", "Bamboo", "Brass", "Bronze", "Ceramic", "Copper", "Cork", "Cotton", "Glass", "Granite", "Iron",
    "Leather", "Linen", "Marble", "Oak", "Slate", "Silver", "Steel", "Walnut", "Wool",
];

pub(super) const NOUNS: [&str; 28] = [
    "Basket", "Bench", "Bottle", "Bowl", "Chair", "Clock", "Compass", "Desk", "Drum", "Flute", "Hammer",
    "Kettle", "Knife", "Lamp", "Lantern", "Mug", "Notebook", "Pan", "Pen", "Planter", "Rake", "Saw", "Shelf",
    "Spoon", "Stool", "Tent", "Tray", "Watch",
];

pub(super) const PROSE: [&str; 60] = [
    "after", "autumn", "balance", "lovely", "before", "builders", "gladly", "century", "choice", "comfort",
    "craft", "daily", "shipped", "design", "durable", "easily", "edition", "every", "family", "loved",
    "finished", "friends", "generous", "gift", "promise", "hand", "heavy", "holds", "hours", "idea",
    "inspired", "keeps", "lasting", "light", "limited", "little", "made", "material", "morning", "natural",
    "needs", "open", "original", "people", "perfect", "useful", "quality", "ready", "season", "simple",
    "small", "solid", "spring", "summer", "tested", "travel", "weather", "winter", "without", "splendid",
];
