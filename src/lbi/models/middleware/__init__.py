"""Wrappers around a model, one a file. Each takes a model and returns one with the same interface.

A request passes them in this order, and its reply comes back the other way:

    cache -> budget -> batching -> retry (throttle, circuit breaker, rate limit) -> metering -> tracing -> masking
    -> provider

A reply from the cache costs nothing. Money is set aside once for all attempts of a call, and before the throttle: a
call that waits for money takes no other call's place. Each attempt is metered, also one that fails.
"""
