//! Recipes: from features and labels to a head and its operating point.
