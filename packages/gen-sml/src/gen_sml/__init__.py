"""Gen's static modelling language: functions parsed into graphs, with generated operations."""
