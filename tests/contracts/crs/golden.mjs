// Writes golden.json beside it: points in China as two outside libraries shift them.
//   cp golden.mjs /tmp && cd /tmp && npm i gcoord@1.0.7 coordtransform@2.1.2 && node golden.mjs > golden.json
import coordtransform from "coordtransform";
import gcoord from "gcoord";

const points = [];
for (let lon = 75; lon <= 134; lon += 6.5) {
  for (let lat = 17.5; lat <= 51; lat += 5.5) {
    points.push([+(lon + lat / 97).toFixed(6), +(lat + lon / 89).toFixed(6)]);
  }
}
const rows = points.map((wgs84) => {
  const gcj02 = coordtransform.wgs84togcj02(...wgs84);
  return {
    wgs84,
    gcoord: {
      gcj02: gcoord.transform(wgs84, gcoord.WGS84, gcoord.GCJ02),
      bd09: gcoord.transform(wgs84, gcoord.WGS84, gcoord.BD09),
    },
    coordtransform: { gcj02, bd09: coordtransform.gcj02tobd09(...gcj02) },
  };
});
console.log("[\n" + rows.map((row) => JSON.stringify(row)).join(",\n") + "\n]");
