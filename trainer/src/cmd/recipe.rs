//! Defines the arguments that choose a recipe, shared by `crossval` and `train`.

use cellgate_trainer::fit::{Costs, FineTuneRecipe, PaperRecipe, Recipe, RecommendedRecipe};
use cellgate_trainer::network::Flips;
use std::num::NonZeroU32;

/// Recipes by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RecipeName {
    /// The paper's: new layers trained on cross-entropy, threshold 0.5
    Paper,
    /// Two averaged logistic regressions, operating point chosen within the training bundles
    Recommended,
    /// Stage 4 of the backbone trained too, in hours rather than minutes; operating point chosen within the training bundles
    FineTune,
}

/// Arguments that choose a recipe.
#[derive(Debug, clap::Args)]
pub(crate) struct RecipeArgs {
    /// How the head is trained
    #[arg(long, value_enum, default_value = "recommended")]
    recipe: RecipeName,
    /// Passes over the training images for `--recipe paper` [default: 50], or the largest number of passes for `--recipe fine-tune`
    /// [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    epochs: Option<u32>,
    /// Number of flip variants of an image that are judged, 1, 2 or 4. The logit is the mean of the variants' logits. The
    /// network takes that many times as long
    #[arg(long, value_name = "VARIANTS", default_value_t = Flips::One)]
    tta: Flips,
    /// Seed of the random numbers: the same seed gives the same result on the same machine
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl RecipeArgs {
    /// The recipe with its settings. `costs` weight the loss of recipe `fine-tune`.
    ///
    /// # Errors
    /// `--epochs` was given for a recipe without epochs.
    pub(crate) fn recipe(&self, costs: Option<Costs>) -> anyhow::Result<Recipe> {
        match (self.recipe, self.epochs) {
            (RecipeName::Paper, epochs) => {
                let paper = PaperRecipe::default();
                Ok(Recipe::Paper(PaperRecipe { epochs: epochs.unwrap_or(paper.epochs), flips: self.tta, ..paper }))
            }
            (RecipeName::Recommended, None) => {
                Ok(Recipe::Recommended(RecommendedRecipe { flips: self.tta, ..RecommendedRecipe::default() }))
            }
            (RecipeName::Recommended, Some(_)) => {
                let text =
                    "--epochs: recipe `recommended` has no epochs; use it with --recipe paper or --recipe fine-tune";
                Err(super::misuse(text))
            }
            (RecipeName::FineTune, epochs) => {
                let default = FineTuneRecipe::default();
                let epochs = epochs.and_then(NonZeroU32::new).unwrap_or(default.epochs);
                Ok(Recipe::FineTune(FineTuneRecipe { epochs, flips: self.tta, costs, ..default }))
            }
        }
    }
}
