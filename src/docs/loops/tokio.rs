async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    mut ws: Connection,
    mut outbox: mpsc::Receiver<String>,
    mut on_event: impl FnMut(&mut Connection, Event<'_>) -> Result<(), SendError>,
) -> Ending {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => on_event(&mut ws, event).unwrap_or_else(|_| ws.handler_failed()),
            Next::Io(io) => select! {
                (write, done) = write(&mut writer, io.write, &ws) => ws.on_write(write, done),
                done = reader.read(input.space()), if io.read => ws.on_read(done, &mut input),
                Some(text) = outbox.recv(), if io.send => {
                    ws.send_text(text).unwrap_or_else(|_| ws.handler_failed());
                }
                () = sleep(io.wait(clock.elapsed())) => {}
            },
            Next::Over(ending) => return *ending,
        }
    }
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    write: Option<Write>,
    ws: &Connection,
) -> (Write, io::Result<usize>) {
    let Some(write) = write else {
        return std::future::pending().await;
    };
    let done = match write {
        Write::Output => writer.write_vectored(&ws.output_slices()).await,
        Write::Flush => writer.flush().await.map(|()| 0),
        Write::Shutdown => writer.shutdown().await.map(|()| 0),
    };
    (write, done)
}
