// Draws a QR code of a text; its library is fetched when the first one is asked for.
const SVG = "http://www.w3.org/2000/svg";

/** Into the element that the selector finds, once the page has been drawn; says so where the text does not fit. */
export async function drawCode(selector, text) {
  const [{ encode }] = await Promise.all([import("./uqr.js"), new Promise(requestAnimationFrame)]);
  const place = document.querySelector(selector);
  if (!place) return;
  let code;
  try {
    code = encode(text, { ecc: "L", border: 4 });
  } catch {
    place.replaceChildren("This link is too long for a QR code.");
    return;
  }
  let dark = "";
  code.data.forEach((row, y) => row.forEach((on, x) => on && (dark += `M${x} ${y}h1v1h-1z`)));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${code.size} ${code.size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the link");
  svg.appendChild(document.createElementNS(SVG, "path")).setAttribute("d", dark);
  place.replaceChildren(svg, "The same link, for a camera");
}
