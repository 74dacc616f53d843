"""The replica: what runs on the GPU machine and answers OpenAI requests.

    request → gate → app (or the engine's own server) → engine → stream

`gate` guards and watches any ASGI app, `app` is the OpenAI subset for engines that have no
server of their own, `engines` make tokens. This package is brought to a GPU machine alone:
it knows nothing of the control plane (plans, prices, SkyPilot) and imports none of it.
"""
