export interface LocalMedia {
  stream?: MediaStream;
  /** Why something is missing, in one line for the user. */
  notice?: string;
}

const REASONS: Record<string, string> = {
  NotAllowedError: 'the browser was not allowed to use them',
  NotFoundError: 'none was found',
  NotReadableError: 'another program is using them',
};

/** Opens camera and microphone, or as much of them as there is. A call works without both. */
export async function openMedia(): Promise<LocalMedia> {
  if (!navigator.mediaDevices) {
    return {
      notice: 'No camera or microphone: browsers open them only on HTTPS pages. You can see and hear the others.',
    };
  }
  const both = await tryOpen({ audio: true, video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
  if (both instanceof MediaStream) return { stream: both };
  const audio = await tryOpen({ audio: true });
  if (audio instanceof MediaStream)
    return { stream: audio, notice: `No camera: ${reason(both)}. The others can hear you.` };
  const video = await tryOpen({ video: true });
  if (video instanceof MediaStream)
    return { stream: video, notice: `No microphone: ${reason(audio)}. The others can see you.` };
  return { notice: `No camera or microphone: ${reason(both)}. You can see and hear the others.` };
}

async function tryOpen(constraints: MediaStreamConstraints): Promise<MediaStream | Error> {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function reason(error: MediaStream | Error): string {
  return error instanceof Error ? (REASONS[error.name] ?? error.message) : '';
}
