"""Kills, damage, fuzzed messages, hostile trees and a soak, each counted against an undamaged twin."""
