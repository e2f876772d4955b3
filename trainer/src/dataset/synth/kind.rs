//! Names the paper's eleven kinds of anomaly (section 2.1) and their causes.

/// A kind of anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnomalyKind {
    Scratches,
    Lines,
    EdgeCuts,
    EdgeTensions,
    Smudges,
    EdgeInkFlow,
    Bubbles,
    MissingInk,
    Agglomerate,
    InkFluctuations,
    InkEntryExit,
}

impl AnomalyKind {
    /// All kinds, in the paper's order.
    pub(super) const ALL: [Self; 11] = [
        Self::Scratches,
        Self::Lines,
        Self::EdgeCuts,
        Self::EdgeTensions,
        Self::Smudges,
        Self::EdgeInkFlow,
        Self::Bubbles,
        Self::MissingInk,
        Self::Agglomerate,
        Self::InkFluctuations,
        Self::InkEntryExit,
    ];

    /// The paper's name for this kind. The manifest uses it too.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scratches => "scratches",
            Self::Lines => "lines",
            Self::EdgeCuts => "edge cuts",
            Self::EdgeTensions => "edge tensions",
            Self::Smudges => "smudges",
            Self::EdgeInkFlow => "edge ink flow",
            Self::Bubbles => "bubbles",
            Self::MissingInk => "missing ink",
            Self::Agglomerate => "agglomerate",
            Self::InkFluctuations => "ink fluctuations",
            Self::InkEntryExit => "ink entry/exit",
        }
    }

    /// The most frequent cause of this kind, for the manifest. The paper does not name causes; we chose these.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Scratches => "dragged over a hard edge when dry",
            Self::Lines => "particle stuck at the coating head",
            Self::EdgeCuts => "worn cutting blade",
            Self::EdgeTensions => "sheet pulled at the edge while drying",
            Self::Smudges => "touched while wet",
            Self::EdgeInkFlow => "too much ink at the border",
            Self::Bubbles => "air in the ink",
            Self::MissingInk => "sheet not wetted",
            Self::Agglomerate => "catalyst not dispersed",
            Self::InkFluctuations => "pulsation of the ink pump",
            Self::InkEntryExit => "ink started or stopped at the wrong moment",
        }
    }
}
