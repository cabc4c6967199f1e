// Pictures of the person's own: files of pictures, and the camera, which is asked for and whose pictures stay here.

/** The most pixels of a side that the engine gets. */
const MOST = 512;

/** What a source shows, as { width, height, pixels }: RGBA, at most MOST a side; a square of its middle if `square`. */
function read(source, width, height, square) {
  const [w, h] = square ? [Math.min(width, height), Math.min(width, height)] : [width, height];
  const scale = Math.min(1, MOST / Math.max(w, h));
  const size = [w, h].map((side) => Math.max(1, Math.round(side * scale)));
  const board = new OffscreenCanvas(...size);
  const context = board.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h, 0, 0, ...size);
  const { data } = context.getImageData(0, 0, ...size);
  return { width: size[0], height: size[1], pixels: new Uint8Array(data.buffer) };
}

/** A file's picture. The browser decodes it beside the page's main thread. */
export async function decode(file) {
  const bitmap = await createImageBitmap(file);
  try {
    return read(bitmap, bitmap.width, bitmap.height, false);
  } finally {
    bitmap.close();
  }
}

/** Shows the camera in `video`. Fails where there is none, or it is not allowed. */
export async function openCamera(video) {
  if (!navigator.mediaDevices) throw new Error("this browser gives no camera to a page that is not secure");
  const facing = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: facing, audio: false });
  try {
    // Whoever was asked may have gone to another page before they allowed it.
    if (!video.isConnected) throw new Error("its page was left");
    await video.play();
  } catch (error) {
    closeCamera(video);
    throw error;
  }
}

/** Lets the camera go. */
export function closeCamera(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}

/** What the camera shows now; null before its first picture. */
export const grab = (video) => (video.videoWidth ? read(video, video.videoWidth, video.videoHeight, true) : null);
