//! The Exp-CoT engine: checked chain-of-thought training data from labelled faces.
