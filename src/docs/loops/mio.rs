enum Turn {
    /// For readiness, and until then at the latest.
    Wait(Option<Duration>),
    Over(Ending),
}

fn turn(
    stream: &mut TcpStream,
    ws: &mut Connection,
    input: &mut Input,
    now: Duration,
    mut on_event: impl FnMut(&mut Connection, Event<'_>) -> Result<(), SendError>,
) -> Turn {
    let shut_down = |stream: &mut TcpStream| stream.shutdown(Shutdown::Write);
    loop {
        match ws.poll(input, now) {
            Next::Event(event) => on_event(ws, event).unwrap_or_else(|_| ws.handler_failed()),
            Next::Io(io) => {
                let is_written = io.write.is_some_and(|w| ws.write_to(stream, w, shut_down));
                let is_read = !is_written && io.read && ws.read_from(stream, input);
                if !is_written && !is_read {
                    return Turn::Wait(io.until);
                }
            }
            Next::Over(ending) => return Turn::Over(*ending),
        }
    }
}
