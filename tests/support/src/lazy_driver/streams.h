// Streams, events and graphs of the lazy driver: what is queued, and when it is done.

#pragma once

#include "memory.h"

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace {

using Work = std::function<void()>;

struct Stream {
    std::deque<Work> queue;
    bool is_destroyed = false;
    bool is_capturing = false;
    std::vector<Work> captured;
};

// A place in a stream's queue, behind all work that was queued before.
struct Mark {
    Stream* stream;
    bool is_reached;
    double at_ms;
};

struct Event {
    bool is_timed;
    std::shared_ptr<Mark> latest;
};

struct Graph {
    std::vector<Work> work;
};

std::set<Stream*> streams;
std::set<Graph*> graphs;
double now_ms = 0;

Stream& stream_of(void* handle)
{
    Stream* stream = static_cast<Stream*>(handle);
    if (!streams.count(stream) || stream->is_destroyed)
        fault("a stream is used that does not exist");
    return *stream;
}

void queue(void* handle, double takes_ms, Work work)
{
    Stream& stream = stream_of(handle);
    Work timed = [=] {
        work();
        now_ms += takes_ms;
    };
    if (stream.is_capturing)
        stream.captured.push_back(timed);
    else
        stream.queue.push_back(timed);
}

void do_next(Stream& stream)
{
    if (stream.queue.empty())
        fault("an event is waited for that no queued work reaches");
    const Work work = stream.queue.front();
    stream.queue.pop_front();
    work();
}

void finish(Stream& stream)
{
    if (stream.is_capturing)
        fault("a stream is waited for that is captured");
    while (!stream.queue.empty())
        do_next(stream);
}

void reach(const Mark& mark)
{
    while (!mark.is_reached)
        do_next(*mark.stream);
}

void finish_all()
{
    for (Stream* stream : streams)
        finish(*stream);
}

} // namespace
