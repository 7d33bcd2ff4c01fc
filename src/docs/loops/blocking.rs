fn converse(
    stream: &mut TcpStream,
    mut ws: Connection,
    mut on_event: impl FnMut(&mut Connection, Event<'_>) -> Result<(), SendError>,
) -> io::Result<Ending> {
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => on_event(&mut ws, event).unwrap_or_else(|_| ws.handler_failed()),
            Next::Io(io) => {
                let wait = Some(io.wait(clock.elapsed()));
                stream.set_write_timeout(wait)?;
                stream.set_read_timeout(wait)?;
                match io.write {
                    Some(write) => ws.write_to(stream, write, |s| s.shutdown(Shutdown::Write)),
                    None => ws.read_from(stream, &mut input),
                };
            }
            Next::Over(ending) => return Ok(*ending),
        }
    }
}
