"""The ground floor: services that many rooms use. It knows no room, no image and no model."""
