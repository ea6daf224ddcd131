"""Where the time of a call goes: time, bytes and operations of every kernel, and its lines."""

from .report import KernelProfile, Profile
from .run import profile

__all__ = ["KernelProfile", "Profile", "profile"]
