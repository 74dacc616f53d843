"""Releases of vLLM and transformers, unpacked → the tables of this folder (re-runnable).

Reads their source as text and syntax trees and imports neither: what a release implements can
be told on a machine that could never run it.
"""
