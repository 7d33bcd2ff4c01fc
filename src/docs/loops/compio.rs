async fn converse(
    stream: &TcpStream,
    mut ws: Connection,
    mut on_event: impl FnMut(&mut Connection, Event<'_>) -> Result<(), SendError>,
) -> Ending {
    let (mut input, mut output, clock) = (Input::default(), Vec::new(), Instant::now());
    let (mut reading, mut writing) = (pin!(Fuse::terminated()), pin!(Fuse::terminated()));
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => on_event(&mut ws, event).unwrap_or_else(|_| ws.handler_failed()),
            Next::Io(io) => {
                if let (Some(what), true) = (io.write, writing.is_terminated()) {
                    let at = ws.take_output(&mut output);
                    writing.set(write(stream, what, mem::take(&mut output), at).fuse());
                }
                if io.read {
                    reading.set(read(stream, input.take()).fuse());
                }
                select_biased! {
                    (what, BufResult(done, bytes)) = writing => {
                        output = bytes;
                        ws.on_write(what, done);
                    }
                    BufResult(done, bytes) = reading => ws.on_read(done, input.put_back(bytes)),
                    () = sleep(io.wait(clock.elapsed())).fuse() => {}
                }
            }
            Next::Over(ending) => return *ending,
        }
    }
}

async fn read(mut stream: &TcpStream, bytes: Vec<u8>) -> BufResult<usize, Vec<u8>> {
    stream.append(bytes).await
}

async fn write(
    mut stream: &TcpStream,
    what: Write,
    bytes: Vec<u8>,
    at: usize,
) -> (Write, BufResult<usize, Vec<u8>>) {
    let done = match what {
        Write::Output => stream.write(bytes.slice(at..)).await.into_inner(),
        Write::Flush => BufResult(stream.flush().await.map(|()| 0), bytes),
        Write::Shutdown => BufResult(stream.shutdown().await.map(|()| 0), bytes),
    };
    (what, done)
}
