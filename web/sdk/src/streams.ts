export interface StreamHooks {
  added(stream: MediaStream): void;
  removed(stream: MediaStream): void;
}

/** The media of one peer: one stream with all tracks, and the streams as the peer published them. */
export class RemoteStreams {
  /** The same object for the peer's whole life, tracks come and go in it. */
  readonly all = new MediaStream();
  readonly byId = new Map<string, MediaStream>();

  constructor(private readonly hooks: StreamHooks) {}

  add(track: MediaStreamTrack, streams: readonly MediaStream[]): void {
    this.all.addTrack(track);
    for (const stream of streams) this.watch(stream);
  }

  clear(): void {
    for (const track of this.all.getTracks()) this.all.removeTrack(track);
    for (const stream of [...this.byId.values()]) this.remove(stream);
  }

  private watch(stream: MediaStream): void {
    if (this.byId.get(stream.id) === stream) return;
    this.byId.set(stream.id, stream);
    stream.addEventListener('removetrack', ({ track }) => {
      this.all.removeTrack(track);
      if (stream.getTracks().length === 0) this.remove(stream);
    });
    this.hooks.added(stream);
  }

  private remove(stream: MediaStream): void {
    if (this.byId.get(stream.id) !== stream) return;
    this.byId.delete(stream.id);
    this.hooks.removed(stream);
  }
}
