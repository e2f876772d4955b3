//! Balanced accuracy, intervals, ROC, paired tests.
