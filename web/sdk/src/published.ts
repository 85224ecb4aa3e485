/** The streams that a room sends to everyone. */
export class Published {
  private streams: MediaStream[] = [];

  constructor(first: MediaStream | undefined) {
    if (first) this.streams.push(first);
  }

  list(): readonly MediaStream[] {
    return this.streams;
  }

  /** False when the stream is there already. */
  add(stream: MediaStream): boolean {
    if (this.streams.includes(stream)) return false;
    this.streams.push(stream);
    return true;
  }

  /** False when the stream is not there. */
  remove(stream: MediaStream): boolean {
    const before = this.streams.length;
    this.streams = this.streams.filter((other) => other !== stream);
    return this.streams.length < before;
  }

  /** Puts a track in another's place, so that connections that come later send it, too. */
  replace(before: MediaStreamTrack, after: MediaStreamTrack): void {
    for (const stream of this.streams) {
      if (!stream.getTracks().includes(before)) continue;
      stream.removeTrack(before);
      stream.addTrack(after);
    }
  }
}
