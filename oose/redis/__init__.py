"""Purchases and sessions in Redis 7: one server, or the master that Sentinel names."""

from oose.redis.connection import RedisConnection
from oose.redis.ended import EndedChannel
from oose.redis.purchases import RedisPurchases
from oose.redis.sessions import RedisSessions

__all__ = ["EndedChannel", "RedisConnection", "RedisPurchases", "RedisSessions"]
